"""Ways of answering that need no training: several drafts (Self-MoA), and the contrast with a weaker self (SCMoE)."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from moai.inference.fused import can_be_fused
from moai.inference.generation import fast_generation
from moai.inference.strategies import fast, plain
from moai.inference.strategies.halves import in_halves
from moai.inference.strategies.plain import Drafts, Wording
from moai.inference.strategies.weak import OF_MIXERS, check_possible
from moai.inference.untouched import is_untouched

__all__ = ["Drafts", "Wording", "draft"]


def draft(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    wording: Wording,
    copies: int = 1,
    stopped: Callable[[Tensor], Tensor] | None = None,
) -> Drafts:
    """`copies` answers to each of B prompts, as `moai.inference.strategies.plain.draft`: of a MoAI model on CUDA by the
    fast path, where it knows the decoder and nothing but mixers is weakened. Of a batch that does not fit into memory
    halves are asked, which say the same.

    Raises ValueError with one sentence for a weak side that the model does not have.
    """
    weak = None if wording.contrast is None else wording.contrast.weak
    if weak is not None:
        check_possible(weak, model)
    on_cuda = next(model.parameters()).device.type == "cuda"
    known = on_cuda and is_untouched(model) and can_be_fused(model.config.text_config) and weak in (None, *OF_MIXERS)

    def told(inputs: Mapping[str, Tensor], wording: Wording, copies: int) -> Drafts:
        if known:
            return fast.draft(fast_generation(model), model, inputs, wording, copies, stopped)  # type: ignore[arg-type]
        return plain.draft(model, inputs, wording, copies, stopped)

    return in_halves(told, inputs, wording, copies)
