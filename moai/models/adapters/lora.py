"""LoRA on the decoder through peft, for all tokens; partial LoRA beside it is for image tokens alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from moai.models.configuration import MoAIConfig
    from moai.models.modeling import MoAIForConditionalGeneration


class TakesAdapters:
    """A model that peft may put adapters into.

    peft takes all weights with "lora_" in their names for its own: it would leave those of partial LoRA trainable, and
    not save them. So they are frozen as soon as peft has left its configuration with the model.
    """

    @property
    def peft_config(self):
        """The adapters' configurations by their names, where there are any."""
        if "_peft_config" not in vars(self):
            raise AttributeError("peft_config")
        return vars(self)["_peft_config"]

    @peft_config.setter
    def peft_config(self, value) -> None:
        vars(self)["_peft_config"] = value
        for name, parameter in self.named_parameters():  # type: ignore[attr-defined]
            if name.endswith((".lora_A.weight", ".lora_B.weight")):
                parameter.requires_grad_(False)

    @peft_config.deleter
    def peft_config(self) -> None:
        del vars(self)["_peft_config"]


BASE = ".base_layer."
"""In the names of weights that have LoRA beside them."""


def add_lora(
    model: "MoAIForConditionalGeneration", rank: int, alpha: float, targets: Sequence[str] | None = None
) -> None:
    """Give linears of the decoder's layers a low-rank branch that starts closed, in place and in `config.lora`.

    targets: names of linears such as q_proj; None means all of them. Raises ValueError with one sentence for names
    that the decoder does not have and for a model that has LoRA already.
    """
    if model.config.lora:
        raise ValueError("the model has LoRA already; merge it first")
    linears = linear_names(model.language_model)
    unknown = sorted(set(targets or ()) - linears)
    if unknown:
        raise ValueError(f"the decoder has no linear {unknown[0]!r}; it has {', '.join(sorted(linears))}")
    if rank < 1 or alpha <= 0:
        raise ValueError(f"LoRA needs a rank of at least 1 and an alpha above 0, got {rank} and {alpha}")
    model.config.lora = {"rank": rank, "alpha": alpha, "targets": sorted(targets or linears)}
    inject_lora(model)


def linear_names(decoder: nn.Module) -> set[str]:
    """Last names of the linears in the decoder's layers, the branches of partial LoRA left out."""
    named = decoder.get_submodule("layers").named_modules()
    linears = {name for name, module in named if isinstance(module, nn.Linear)}
    return {name.split(".")[-1] for name in linears if not name.endswith((".lora_A", ".lora_B"))}


def check_lora(config: "MoAIConfig") -> None:
    """Raises ValueError with one sentence unless `config.lora` names branches that the decoder can have."""
    told: Any = config.lora
    fine = isinstance(told, dict) and {"rank", "alpha", "targets"} <= told.keys()
    fine = fine and isinstance(told["rank"], int) and 1 <= told["rank"] <= 4 * config.text_config.hidden_size
    fine = fine and isinstance(told["alpha"], (int, float)) and told["alpha"] > 0
    fine = fine and isinstance(told["targets"], list) and all(str(one).isidentifier() for one in told["targets"])
    if not fine:
        raise ValueError(f"lora is {told!r}; it needs a rank, an alpha and targets, the names of linears")


def inject_lora(model: "MoAIForConditionalGeneration") -> None:
    """The branches that `config.lora` names."""
    from peft import LoraConfig, inject_adapter_in_model

    check_lora(model.config)
    settings: dict = model.config.lora or {}
    config = LoraConfig(
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        target_modules=rf"layers\..*\.({'|'.join(settings['targets'])})",
    )
    inject_adapter_in_model(config, model.language_model)


def merge_lora(model: "MoAIForConditionalGeneration") -> None:
    """Add LoRA to the weights beside it, in place: the same model but for rounding, without the branches."""
    from peft.tuners.lora import LoraLayer

    for parent in list(model.language_model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(parent, name, child.get_base_layer())
    model.config.lora = None
