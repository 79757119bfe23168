"""How fast a model is that is larger than its share of the card: `python -m moai.profiling.ring`.

Prints one line of JSON for each cell as it is measured, and appends it to --out. Weights are random, made on the card
and then left on the host. Beside the ring: accelerate's offload and diffusers' group offloading, where they are there,
with all layers on the host.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from moai.inference.decoding import bucket_length, bucket_rows
from moai.inference.generation import FastGeneration, forget
from moai.inference.quantization import check_tier
from moai.inference.ring.needs import decoder_needs
from moai.inference.ring.plan import bytes_of
from moai.inference.ring.streaming import ring_of, stream_layers
from moai.profiling.cells import keep
from moai.profiling.model import Setup, decoding_seconds, prompt_work, random_inputs, random_model, request
from moai.terminal import Parser, guarded, sentence

TIERS = ("int8", "bf16", "int4")
MEMORY = "8GB,6GB,12GB,16GB"
ROOMY = 2**60
RATE_BYTES = 2**28


class Measured:
    """What is measured until the deadline, each cell printed and kept."""

    def __init__(self, out: Path | None, deadline: float):
        self.out, self.deadline = out, deadline

    def add(self, cell: str, **figures: Any) -> None:
        """One line."""
        keep({"cell": cell, **figures}, self.out)

    def measured(self, cell: str, about: dict, work: Callable[[], dict]) -> None:
        """Adds what `work` finds, or why it found nothing; the next cell goes on."""
        if time.monotonic() > self.deadline:
            self.add(cell, **about, left_out="no time was left")
            return
        try:
            found = work()
        except Exception as error:  # of whatever library; the other cells are still worth having
            found = {"failed": f"{type(error).__name__}: {sentence(error)[:300]}"}
        self.add(cell, **about, **found)


def host_to_device(device: torch.device, pinned: bool) -> float:
    """Bytes a second from memory of the host to the device."""
    source = torch.empty(RATE_BYTES, dtype=torch.uint8, pin_memory=pinned and device.type == "cuda")
    target = torch.empty(RATE_BYTES, dtype=torch.uint8, device=device)
    taken = []
    for _ in range(4):
        _wait(device)
        started = time.perf_counter()
        target.copy_(source, non_blocking=True)
        _wait(device)
        taken.append(time.perf_counter() - started)
    return RATE_BYTES / min(taken)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def limited(device: torch.device, budget: int, before: int) -> Iterator[None]:
    """Within it torch gives no more than so many bytes beside those that were taken before."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (before + budget) / total), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def measure_ring(
    cells: Measured, setup: Setup, tier: str, budgets: list[tuple[str, int]], tokens: int, rate: float
) -> None:
    """Every budget (its name and bytes; without any, two small ones) and batch size of one tier, copies ahead and not.

    rate: bytes a second that copies to the device reach.
    """
    before = _allocated(setup.device)
    model = stream_layers(
        random_model(setup.size, setup.device, setup.dtype), setup.device, ROOMY, None if tier == "bf16" else tier
    )
    setup.model, decoder = model, model.language_model
    streaming = decoder.streaming
    sizes = [len(layer.memory) for layer in streaming.layers]
    cells.add("weights", tier=tier, always=streaming.always, layer=max(sizes), body=streaming.layers[0].body)
    if not budgets:
        rows, length = _shape(request(setup, random_inputs(setup, max(setup.batches)), tokens))
        key = (bucket_rows(rows), bucket_length(length))
        needs = decoder_needs(model.config.text_config, streaming.width, setup.dtype.itemsize, *key, key[0], key[0])
        needed = needs.kept + needs.passing
        counts = (2, len(sizes))
        budgets = [(f"{count} layers", streaming.always + needed + count * max(sizes)) for count in counts]
    for label, budget in budgets:
        ring_of(decoder).budget = budget - streaming.always
        for rows in setup.batches:
            forget()

            def work(rows: int = rows, budget: int = budget) -> dict:
                asked = request(setup, random_inputs(setup, rows), tokens)
                engine = FastGeneration(model)
                prompt = prompt_work(setup, engine, asked)
                started = time.perf_counter()
                prompt()
                list(engine.tokens(engine.decoder.bucket(*_shape(asked)), rows, 2))
                setup.wait()
                found: dict[str, Any] = {"compiling_s": time.perf_counter() - started}
                found["peak_compiling"] = _peak(setup.device, before)
                shared = ring_of(decoder)
                plan, between = shared.plan, shared.between
                found |= {"resident": len(plan.resident), "streamed": len(plan.streamed), "between": len(between)}
                moved = sum(streaming.layers[number].body for number in plan.streamed if number not in between)
                found["at_once"] = engine.decoder.at_once
                found |= {"streamed_bytes": moved, "copying_ms": 1000 * moved / rate}
                found["planned"] = streaming.always + shared.planned
                with limited(setup.device, budget, before):
                    for name, ahead in (("", True), ("alone_", False)):
                        shared.ahead = ahead
                        found[f"{name}prefill_ms"] = 1000 * setup.seconds(prompt, warm=1)
                        step = decoding_seconds(setup, engine, asked)
                        found |= {f"{name}step_ms": 1000 * step, f"{name}tokens_s": rows / step}
                        if not plan.streamed or time.monotonic() > cells.deadline:
                            break
                    found["peak"] = _peak(setup.device, before)
                found["within"] = found["peak"] is None or found["peak"] <= budget
                return found

            cells.measured("ring", {"tier": tier, "memory": label, "budget": budget, "rows": rows}, work)
    vars(setup).pop("model")


def _shape(asked) -> tuple[int, int]:
    rows, width = asked.inputs["input_ids"].shape
    return rows, width + asked.max_new_tokens


def _allocated(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def _peak(device: torch.device, before: int) -> int | None:
    return torch.cuda.max_memory_allocated(device) - before if device.type == "cuda" else None


def with_accelerate(decoder: nn.Module, device: torch.device) -> None:
    """accelerate's hooks on every layer, its copies from pinned memory."""
    from accelerate import cpu_offload

    for layer in decoder.layers:
        kept = {name: value.cpu() for name, value in layer.state_dict().items()}
        if device.type == "cuda":
            kept = {name: value.pin_memory() for name, value in kept.items()}
        cpu_offload(layer, device, offload_buffers=True, state_dict=kept)


def with_diffusers(decoder: nn.Module, device: torch.device) -> None:
    """diffusers' groups of one layer each, the next one copied on a stream of its own."""
    from diffusers.hooks import apply_group_offloading

    # Embeddings are read outside of the decoder too, so that they cannot come and go with it.
    others = {name: decoder._modules.pop(name) for name in list(decoder._modules) if name != "layers"}
    try:
        apply_group_offloading(
            decoder,
            onload_device=device,
            offload_device=torch.device("cpu"),
            offload_type="block_level",
            num_blocks_per_group=1,
            use_stream=device.type == "cuda",
        )
    finally:
        decoder._modules.update(others)


BASELINES = {"accelerate": with_accelerate, "diffusers": with_diffusers}


def measure_baseline(cells: Measured, setup: Setup, name: str, tokens: int) -> None:
    """transformers' own generation with all layers on the host, in bf16, by a library's means."""
    forget()
    before = _allocated(setup.device)

    def make() -> dict:
        model = random_model(setup.size, setup.device, setup.dtype)
        BASELINES[name](model.language_model, setup.device)
        setup.model = model
        return {"made": True}

    cells.measured(name, {"tier": "bf16"}, make)
    for rows in setup.batches if "model" in vars(setup) else ():
        forget()

        def work(rows: int = rows) -> dict:
            with limited(setup.device, ROOMY, before):
                inputs = random_inputs(setup, rows) | {"do_sample": False, "eos_token_id": None}
                first, both = (
                    setup.seconds(lambda given=inputs | {"max_new_tokens": n}: setup.model.generate(**given), warm=1)
                    for n in (1, 1 + tokens)
                )
                step = (both - first) / tokens
                found = {"prefill_ms": 1000 * first, "step_ms": 1000 * step, "tokens_s": rows / step}
                return found | {"peak": _peak(setup.device, before)}

        cells.measured(name, {"tier": "bf16", "rows": rows}, work)
    vars(setup).pop("model", None)


def parser() -> argparse.ArgumentParser:
    """Every option."""
    top = Parser(prog="python -m moai.profiling.ring", description=__doc__.splitlines()[0])
    top.add_argument("--small", action="store_true", help="moai-nano's geometry on the CPU, to see that all runs")
    top.add_argument("--memory", default=MEMORY, help="budgets (default: %(default)s)")
    top.add_argument("--tiers", default=",".join(TIERS), help="bf16, int8, int4 (default: %(default)s)")
    top.add_argument("--batches", default="1,8,32", help="batch sizes (default: %(default)s)")
    top.add_argument("--tokens", type=int, default=8, help="steps that are timed (default: %(default)s)")
    top.add_argument("--baselines", default=",".join(BASELINES), help="(default: %(default)s)")
    top.add_argument("--repeats", type=int, default=2, help="runs behind each median (default: %(default)s)")
    top.add_argument("--time-limit", type=float, default=540, metavar="SECONDS", help="begin nothing new after")
    top.add_argument("--out", type=Path, help="append every line to this file")
    return top


def main(argv: list[str] | None = None) -> None:
    """Command line; raises ValueError with one sentence for what it does not know."""
    asked = parser().parse_args(argv)
    started = time.monotonic()
    # With a number, as torch asks for where it limits memory.
    device = torch.device("cpu" if asked.small or not torch.cuda.is_available() else "cuda:0")
    if device.type == "cpu" and not asked.small:
        raise ValueError("there is no CUDA device; --small runs on the CPU")
    baselines = [name for name in asked.baselines.split(",") if name]
    if unknown := [name for name in baselines if name not in BASELINES]:
        raise ValueError(f"unknown baseline {unknown[0]!r}; allowed are {', '.join(BASELINES)}")
    budgets = [] if asked.small else [(one, bytes_of(one)) for one in asked.memory.split(",")]
    batches = tuple(int(one) for one in asked.batches.split(","))
    cells = Measured(asked.out, started + asked.time_limit)
    setup = Setup("nano" if asked.small else "7b", device, batches, asked.repeats)
    rates = {name: host_to_device(device, pinned) for name, pinned in (("pinned", True), ("pageable", False))}
    name = torch.cuda.get_device_properties(device).name if device.type == "cuda" else "cpu"
    cells.add("host to device", device=name, **{f"{kind}_gb_s": rate / 1e9 for kind, rate in rates.items()})
    for tier in asked.tiers.split(","):
        try:
            check_tier(tier, device)
        except ValueError as error:
            cells.add("weights", tier=tier, failed=str(error))
            continue
        if time.monotonic() < cells.deadline:
            measure_ring(cells, setup, tier, budgets, asked.tokens, rates["pinned"])
            forget()
    for name in baselines:
        measure_baseline(cells, setup, name, max(1, asked.tokens // 4))


if __name__ == "__main__":
    raise SystemExit(guarded(main, "python -m moai.profiling.ring"))
