"""What a training stage is, and the parts of a model that it may train."""

from dataclasses import MISSING, dataclass, field
from typing import Any

from torch import nn

from moai.models.mixer import ROUTINGS
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.plora import PartialLoRALinear
from moai.models.sparse.branch import ExpertBranch
from moai.models.sparse.capacity import SELECTIONS


def setting(default=MISSING, help: str = "", **rules):
    """A field of an experiment: its default, one line of help, and what is allowed.

    rules: `choices`; `least`, `most` or `above` a number; `alone`, the value of an option that is given without one.
    """
    extra = {} if default is MISSING else {"default": default}
    return field(**extra, metadata={"help": help} | rules)


@dataclass
class Stage:
    """What a stage of training a MoAI model does, see `configs/train` for those that there are.

    `trains` names groups of `parameter_groups`; `learning_rate` peaks after warm-up, `final_share` of it is left at the
    end; `decoder_share` scales it for the decoder when that trains too. `rows` is the number of rows a step: text rows,
    questions about images, or scenes that nothing is asked about. `expert_words` says whether the experts' words and
    colour map are given, `images` whether images are, and questions about them. `patch_weight` scales the per-patch
    class loss and `transcribe_weight` that of writing the experts' words back from the auxiliary tokens;
    `balance_weight` and `device_balance_weight` scale what unevenly used experts of a sparse model cost (see
    `moai.models.sparse.balance`), and `capacity` bounds what each of them takes in a batch of one process, chosen as
    `capacity_by` says (see `moai.models.sparse.capacity`). Of an image's questions, `windows` ask to continue the
    experts' words; `packed` puts all of them into one row (see `moai.models.inputs.packing`). `data` is what
    `moai.data.registry.build` takes.
    """

    trains: tuple[str, ...] = setting(help="parts of the model that train")
    learning_rate: float = setting(help="at its peak", above=0)
    rows: int = setting(help="rows (questions) a step", least=1)
    steps: int = setting(help="stop after this many steps", least=1)
    data: tuple[dict[str, Any], ...] = setting(help="its sources: name, weight (default 1) and the settings of each")
    routing: str = setting("gates", "how mixers weigh their sources while training", choices=ROUTINGS)
    expert_words: bool = setting(False, "give the experts' words and colour map")
    images: bool = setting(True, "give images, and questions about them")
    decoder_share: float = setting(1.0, "of the learning rate, for the decoder and its LoRA", least=0)
    patch_weight: float = setting(0.0, "of the per-patch class loss", least=0)
    windows: int = setting(0, "questions that continue the experts' words", least=0)
    transcribe_weight: float = setting(0.0, "of writing the experts' words back", least=0)
    balance_weight: float = setting(0.0, "of the balance of a sparse model's experts; 0.01 is usual", least=0)
    device_balance_weight: float = setting(0.0, "of the balance of the devices that share its experts", least=0)
    balance_devices: int = setting(1, "devices that share a sparse model's experts evenly, in order", least=1)
    capacity: float | None = setting(
        None, "most that an expert of a sparse model takes, times its even share (default: no bound)", above=0
    )
    capacity_by: str = setting("random", "whom a full expert of a sparse model takes", choices=SELECTIONS)
    packed: bool = setting(False, "all questions about a scene in one row: faster, not quite what answering does")
    final_share: float = setting(0.05, "of the learning rate that is left at the end", least=0, most=1)
    warmup: float = setting(0.03, "share of training until the peak", least=0, most=1)
    clip: float = setting(1.0, "longest gradient; longer ones are shortened to it", above=0)
    weight_decay: float = setting(0.0, "of every parameter that trains (decoupled)", least=0)


def parameter_groups(model: MoAIForConditionalGeneration) -> dict[str, list[nn.Parameter]]:
    """Every parameter of the model, once, by the part it belongs to; "lora" is there when the decoder has LoRA."""
    plora = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, (PartialLoRALinear, ExpertBranch))
        for branch in (module.lora_A, module.lora_B)
        for parameter in branch.parameters()
    }
    groups: dict[str, list[nn.Parameter]] = {
        name: [] for name in ("vision", "projector", "decoder", "plora", "compressor", "mixers", "gates")
    }
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        if id(parameter) in plora:
            groups["plora"].append(parameter)
        elif ".lora_" in name:
            groups.setdefault("lora", []).append(parameter)
        elif part == "mixers":
            groups["gates" if "_gate." in name else "mixers"].append(parameter)
        else:
            groups[part if part in groups else "decoder"].append(parameter)
    return groups


def freeze_all_but(model: MoAIForConditionalGeneration, trains: tuple[str, ...]) -> None:
    """Let gradients flow to the named groups alone."""
    for name, parameters in parameter_groups(model).items():
        for parameter in parameters:
            parameter.requires_grad_(name in trains)
