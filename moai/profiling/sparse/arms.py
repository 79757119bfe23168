"""Decoders of equal active parameters, how they learn, and what they lose without one of their experts."""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.models.sparse.layer import sparse_layers
from moai.profiling.sparse.texts import Texts
from moai.training.experiment import ModelExperiment, load_experiment
from moai.training.objective import MoAIObjective
from moai.training.progress import learning_rate_factor
from moai.training.sparse.bound import bound
from moai.training.stages import freeze_all_but

ARMS = {
    "dense": None,
    "0+16 top-2": (0, 16, 2, 1),
    "1+15 top-1": (1, 15, 1, 1),
    "1+63 top-7": (1, 63, 7, 4),
}
"""Shared and routed experts, those that a token takes, and in how many a feed-forward of width F is cut. All compute
2 F a token, and the sparse ones hold 16 F."""
WARM = 3
"""Steps that no pace is taken of."""


@dataclass(frozen=True)
class Size:
    """Of the decoders: `width` F of a feed-forward as the paper counts them, and the sizes around it. With
    `renormalise` a token's routed weights sum to 1 where there are several; the paper leaves them as they are."""

    hidden: int = 384
    layers: int = 8
    heads: int = 6
    width: int = 1024
    renormalise: bool = False


@dataclass(frozen=True)
class Trained:
    """An arm behind its last step: milliseconds a step, and the last step's share of the busiest expert and of dropped
    routes, where there are any."""

    objective: MoAIObjective
    ms: float
    told: dict[str, float]

    @property
    def model(self) -> MoAIForConditionalGeneration:
        """The arm itself."""
        return self.objective.model


def experiment(**changed) -> ModelExperiment:
    """How arms are trained: the stage `language` as the paper has its smallest model, by AdamW, which treats experts
    and matrices alike."""
    language = load_experiment("language")
    assert isinstance(language, ModelExperiment)
    paper = {"learning_rate": 1.08e-3, "weight_decay": 0.1, "balance_weight": 0.01, "clip": 1.0}
    return dataclasses.replace(language, **(paper | changed))


def build(
    arm: str, size: Size, processor: MoAIProcessor, stage: ModelExperiment, device: torch.device
) -> MoAIObjective:
    """An arm with random weights of the stage's seed."""
    vocabulary = -(-len(processor.tokenizer) // 64) * 64
    image_token = processor.tokenizer.convert_tokens_to_ids("<image>")
    text = MoAIConfig.moai_nano(vocabulary).text_config
    text.hidden_size, text.num_hidden_layers, text.intermediate_size = size.hidden, size.layers, 2 * size.width
    text.num_attention_heads = text.num_key_value_heads = size.heads
    text.head_dim = size.hidden // size.heads
    sparse = {}
    if (counts := ARMS[arm]) is not None:
        names = ("sparse_shared", "sparse_experts", "sparse_active")
        sparse = dict(zip(names, counts, strict=False)) | {"sparse_width": size.width // counts[3], "sparse_first": 0}
        # Of one expert, the router would learn nothing.
        sparse["sparse_renormalise"] = size.renormalise and counts[2] > 1
    torch.manual_seed(stage.seed)
    config = MoAIConfig.moai_nano(vocabulary, image_token, text_config=text, mixer_layers=[], plora_rank=0, **sparse)
    model = MoAIForConditionalGeneration(config).to(device)
    return objective_of(model, processor, stage)


def objective_of(
    model: MoAIForConditionalGeneration, processor: MoAIProcessor, stage: ModelExperiment
) -> MoAIObjective:
    """The losses of a model whose decoder the stage trains."""
    freeze_all_but(model, stage.trains)
    bound(model, stage)
    return MoAIObjective(model, processor, stage)


def train(objective: MoAIObjective, texts: Texts, stage: ModelExperiment, steps: int | None = None) -> Trained:
    """Takes the stage's steps, or the first `steps` of them."""
    parameters = [one for one in objective.parameters() if one.requires_grad]
    device = parameters[0].device
    optimizer = torch.optim.AdamW(
        parameters, stage.learning_rate, (0.9, 0.95), weight_decay=stage.weight_decay, fused=device.type == "cuda"
    )
    steps = steps or stage.steps
    order = texts.order(steps, stage.rows, stage.seed)
    objective.train()
    torch.manual_seed(stage.seed)  # of what is drawn where a capacity is full
    started, losses = 0.0, {}
    for step, rows in enumerate(order):
        if step == min(WARM, steps - 1):
            _wait(device)
            started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * learning_rate_factor(step / stage.steps, stage)
        with autocast(device):
            losses = objective(**texts.batch(rows))
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(parameters, stage.clip)
        optimizer.step()
        optimizer.zero_grad()
    _wait(device)
    ms = 1000 * (time.perf_counter() - started) / (steps - min(WARM, steps - 1))
    return Trained(objective, ms, {name: float(losses[name]) for name in ("busiest", "dropped") if name in losses})


@torch.no_grad()
def held_out(objective: MoAIObjective, texts: Texts, rows: int = 128) -> float:
    """The mean loss of the texts that were held out, by their weights."""
    objective.eval()
    losses = weights = torch.zeros((), dtype=torch.float64)
    for batch in map(texts.batch, texts.held_out.split(rows)):
        with autocast(texts.ids.device):
            losses = losses + objective.text_losses(batch).double().cpu()
        weights = weights + batch["weights"][:, 1:].sum().double().cpu()
    return float(losses / weights)


def autocast(device: torch.device) -> torch.autocast:
    """bf16 on an accelerator."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


@contextmanager
def without(model: MoAIForConditionalGeneration, what: str) -> Iterator[None]:
    """Meanwhile an expert of each token gives nothing: "shared"; "routed", the one that it gives most to; or "swapped",
    the shared one, and one more that is routed takes its place."""
    handles = []
    for layer in sparse_layers(model).values():
        if what == "routed":
            handles.append(layer.gate.register_forward_hook(_first_off))
        else:
            assert layer.shared_experts is not None
            handles.append(layer.shared_experts.register_forward_hook(_nothing))
            layer.gate.active += what == "swapped"
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        if what == "swapped":
            for layer in sparse_layers(model).values():
                layer.gate.active -= 1


def _first_off(router, given, output) -> tuple[Tensor, Tensor, Tensor]:
    logits, weights, chosen = output
    return logits, torch.cat((torch.zeros_like(weights[:, :1]), weights[:, 1:]), dim=1), chosen


def _nothing(module, given, output) -> Tensor:
    return torch.zeros_like(output)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
