"""Speed and memory of the training step with a frozen decoder."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from moai.profiling.flops import SHARED_HEADS
from moai.profiling.model import SIZES, Setup, random_inputs
from moai.training.experiment import load_experiment
from moai.training.run import compile_layers
from moai.training.stages import freeze_all_but

PEAK_FLOPS = 989e12
"""Dense bf16 operations a second of an H100 or H200 by NVIDIA's data sheet."""
ANSWER = 40
"""Tokens of the answer in a training row."""
STEPS = {"step 1": "experts", "step 2": "gates"}


def product_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of one large matrix product on random data."""
    side = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    taken = Setup("nano", device, ()).seconds(lambda: left @ right, warm=3)
    return 2 * side**3 / taken


def training_step(setup: Setup, rows: int, stage: str) -> tuple[Callable[[], None], int]:
    """One optimiser step on random rows with the decoder frozen, and its tokens."""
    model = setup.model
    experiment = load_experiment(stage)
    freeze_all_but(model, experiment.trains)
    model.routing = experiment.routing
    inputs = random_inputs(setup, rows, SIZES[setup.size][1] + ANSWER)
    del inputs["attention_mask"]  # rows are padded on the right, where nothing sees the padding
    ids = inputs["input_ids"]
    inputs["prompt_mask"] = (torch.arange(ids.shape[1], device=ids.device) < ids.shape[1] - ANSWER).expand_as(ids)
    training = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(training, lr=1e-5, fused=setup.device.type == "cuda")

    def work() -> None:
        logits = model(**inputs, use_cache=False, logits_to_keep=ANSWER + 1).logits[:, :-1]
        F.cross_entropy(logits.flatten(0, 1).float(), ids[:, -ANSWER:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return work, ids.numel()


def measure_training(setup: Setup) -> None:
    """The training step of steps 1 and 2: plainly, with compiled layers, and with activation checkpointing.

    Operations are counted by torch.utils.flop_counter over one plain step: two for each multiply-add of every product,
    convolution and attention (taken whole, though half of it is masked), forward and backward; none for what
    checkpointing computes again, and none for gradients of frozen weights, as there are none.
    """
    setup.free()
    rows, cuda = max(setup.batches), setup.device.type == "cuda"
    peak_rate = product_flops(setup.device, setup.dtype)
    counts: dict[str, int] = {}
    setup.add("training", "large matrix product", peak_rate / 1e12, "TFLOP/s")
    ways = ("plain", "checkpointed", "compiled") if cuda else ("plain", "checkpointed")
    for way in ways:
        if way == "compiled":
            compile_layers(setup.model.language_model.layers)
        for step, stage in STEPS.items():
            if setup.late:
                return
            setup.free()
            setup.peak()
            try:
                _measure_step(setup, f"{step}, {way}, batch {rows}", rows, stage, way, peak_rate, counts)
            except torch.OutOfMemoryError:
                print(f"training     {step}, {way}, batch {rows} does not fit", flush=True)
            setup.model.zero_grad()


def _measure_step(setup: Setup, name: str, rows: int, stage: str, way: str, peak_rate: float, counts: dict) -> None:
    work, tokens = training_step(setup, rows, stage)
    setup.model.train()
    setup.model.vision.eval()
    if way == "checkpointed":
        setup.model.gradient_checkpointing_enable()
    else:
        setup.model.gradient_checkpointing_disable()
    if stage not in counts:
        with FlopCounterMode(display=False, custom_mapping=SHARED_HEADS) as counter:
            work()
        counts[stage] = counter.get_total_flops()
    taken = setup.seconds(work)
    setup.add("training", name, tokens / taken, "tokens/s")
    rate = counts[stage] / taken
    setup.add("training", f"{name}: of the measured product", 100 * rate / peak_rate, "%")
    if setup.device.type == "cuda":
        setup.add("training", f"{name}: of {PEAK_FLOPS / 1e12:.0f} TFLOP/s", 100 * rate / PEAK_FLOPS, "%")
        setup.add("training", f"{name}: peak memory", setup.peak(), "GiB")
