"""The training stages: what each trains, on what, and how fast."""

from dataclasses import dataclass, replace

from torch import nn

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.plora import PartialLoRALinear


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    `trains` names groups of `parameter_groups`; `learning_rate` peaks after warm-up, `final_share` of it is left at
    the end; `decoder_share` scales it for the decoder when that trains too. `rows` is the number of rows a step: text
    rows, questions about pictures, or scenes that nothing is asked about. `routing` is the mixers' during training;
    `experts` says whether the experts' words and colour map are given, `pictures` whether pictures are, and questions
    about them. `patch_weight` scales the per-patch class loss and `transcribe_weight` that of writing the experts'
    words back from the auxiliary tokens. Of a picture's questions, `windows` ask to continue the experts' words and
    `readings` ask what signs say; `packed` puts all of them into one row (see `moai.data.packing`). `unfamiliar` is
    the share of pictures that tell nothing (see `moai.data.drawn.unanswerable`).
    """

    trains: tuple[str, ...]
    learning_rate: float
    rows: int
    steps: int
    routing: str = "gates"
    experts: bool = False
    pictures: bool = True
    decoder_share: float = 1.0
    patch_weight: float = 0.0
    windows: int = 0
    readings: int = 0
    unfamiliar: float = 0.0
    transcribe_weight: float = 0.0
    packed: bool = False
    final_share: float = 0.05
    warmup: float = 0.03


# Everything together, so that mixers, decoder and vision grow into one another while what tells them apart is
# dense: what patches show, and the experts' words written back.
_BRIDGE = Stage(
    ("vision", "projector", "decoder", "plora", "compressor", "mixers", "gates"),
    1.2e-3,
    rows=1024,
    steps=10000,
    experts=True,
    packed=True,
    decoder_share=0.4,
    patch_weight=0.3,
    windows=1,
    readings=2,
    unfamiliar=0.15,
    transcribe_weight=0.3,
)

STAGES = {
    # The decoder learns language, and to look things up, from the experts' words in full: no picture, no compressor.
    "language": Stage(("decoder",), 1.5e-3, rows=256, steps=8000, pictures=False),
    # It learns to see: vision, projector and decoder on pictures alone.
    "backbone": Stage(
        ("vision", "projector", "decoder", "plora"),
        1e-3,
        rows=1024,
        steps=4000,
        decoder_share=0.3,
        patch_weight=0.5,
        packed=True,
    ),
    # The compressor learns to keep the experts' words: they are written back from its tokens, without the decoder.
    "compressor": Stage(
        ("compressor",),
        1.5e-3,
        rows=128,
        steps=4000,
        experts=True,
        pictures=False,
        transcribe_weight=1.0,
    ),
    "bridge": _BRIDGE,
    # A short while more, on few rows with many readings: what signs say is spelled, also where it is no known word.
    "polish": replace(_BRIDGE, learning_rate=4e-4, rows=128, steps=320, windows=0, readings=6, transcribe_weight=0.0),
    # Step 1 of the paper: compressor and experts, one expert of each modality drawn at random.
    "experts": Stage(
        ("compressor", "mixers"),
        1.2e-3,
        rows=1024,
        steps=6000,
        routing="random",
        experts=True,
        packed=True,
        decoder_share=0.4,
        windows=3,
        readings=2,
        transcribe_weight=0.5,
    ),
    # Step 2 of the paper: the same and the gates.
    "gates": Stage(
        ("compressor", "mixers", "gates"),
        1.2e-3,
        rows=256,
        steps=6000,
        experts=True,
        decoder_share=0.4,
        windows=2,
        readings=2,
        transcribe_weight=0.25,
    ),
}


def parameter_groups(model: MoAIForConditionalGeneration) -> dict[str, list[nn.Parameter]]:
    """Every parameter of the model, once, by the part it belongs to."""
    plora = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, PartialLoRALinear)
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
