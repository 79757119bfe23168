"""Whether a model is made as the fast path expects. It reads weights without calling the modules that hold them, so
what somebody put around a module (an adapter, a hook, a parametrisation, another class) would be passed over."""

from collections.abc import Iterable
from functools import cache

import torch
from torch import nn
from transformers.utils import output_capturing as collecting

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.plora import Factor, PartialLoRALinear
from moai.models.sparse.branch import ExpertBranch, ExpertBranches, Factors
from moai.models.sparse.experts import SparseExperts
from moai.models.sparse.layer import SharedExperts, SparseFeedForward, SparseRouter

_SPARSE = (SparseFeedForward, SparseRouter, SparseExperts, SharedExperts, ExpertBranches, ExpertBranch, Factors)
_PLAIN = (nn.Linear, nn.Embedding, nn.ModuleList, nn.SiLU, PartialLoRALinear, Factor, *_SPARSE)


def is_untouched(model: nn.Module) -> bool:
    """Whether `model` is a MoAI whose decoder consists of its family's own modules, without hooks.

    Adapters merged into the weights change nothing; those beside them do. Quantised weights are read as they are.
    """
    if type(model) is not MoAIForConditionalGeneration or torch.nn.modules.module._has_any_global_hook():
        return False
    family = type(model.language_model).__module__
    parts = all_modules((model.lm_head, model.language_model))
    return (
        family.startswith("transformers.models.")
        and all(_is_plain(kind, family) for kind in set(map(type, parts)))
        and not is_hooked(model)
        and not any(map(is_hooked, parts))
        and model.lm_head.bias is None
    )


def all_modules(tops: Iterable[nn.Module]) -> list[nn.Module]:
    """The modules of a tree with all that is in them. torch's own `modules` takes twice the time, which every question
    waits for; one that is in several places comes several times."""
    found = list(tops)
    for module in found:
        found.extend(part for part in module._modules.values() if part is not None)
    return found


@cache
def _is_plain(kind: type[nn.Module], family: str) -> bool:
    kind = getattr(kind, "family", kind)  # layers and norms that take a `Fusion` are of the family's own classes
    return kind in _PLAIN or kind.__module__ in (family, "transformers.activations")


def is_hooked(module: nn.Module) -> bool:
    """Whether somebody put something around this very module."""
    # Hooks by which transformers collects hidden states change nothing, and stay once they were asked for; ours bring
    # a layer's weights, which the fast path has from the ring.
    hooks = module._forward_hooks, module._forward_pre_hooks
    if any(hooks):
        known = (collecting.__name__, "moai.inference.ring.streaming")
        if any(hook.__module__ not in known for some in hooks for hook in some.values()):
            return True
    return "forward" in vars(module)
