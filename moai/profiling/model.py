"""Speed and memory of the language model when it answers: prefill, decoding, questions, memory tiers."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch._dynamo.utils import counters

from moai.inference.decoding import Bucket, Decoder, score
from moai.inference.fused import fuse_weights
from moai.inference.generation import FastGeneration, Request, forget
from moai.inference.quantization import check_tier, quantize
from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration

GIB = 2**30


def sparse_nano(**changed) -> MoAIConfig:
    """moai-nano at twice the width, whose layers have 64 routed experts, 7 of them active, beside a shared one."""
    text = MoAIConfig.moai_nano().text_config
    text.hidden_size, text.intermediate_size = 768, 2048
    text.num_attention_heads = text.num_key_value_heads = 12
    text.vocab_size = changed.pop("vocab_size", text.vocab_size)
    experts = {"sparse_experts": 64, "sparse_shared": 1, "sparse_active": 7, "sparse_width": 512}
    return MoAIConfig.moai_nano(text_config=text, **(experts | changed))


def sparse_16b(**changed) -> MoAIConfig:
    """MoAI-7B's eyes on a decoder of DeepSeekMoE-16B's sizes (arXiv 2401.06066, table 7): 2 shared and 64 routed
    experts, 6 of them active, behind a first layer without."""
    config = MoAIConfig.moai_7b()
    text = config.text_config
    text.hidden_size, text.num_hidden_layers, text.intermediate_size = 2048, 28, 10944
    text.num_attention_heads = text.num_key_value_heads = 16
    text.head_dim = 128
    experts = {"sparse_experts": 64, "sparse_shared": 2, "sparse_active": 6, "sparse_width": 1408}
    kept = {"plora_rank": 64, "plora_alpha": 64, "mixer_layers": [6, 13, 20, 27]}
    return MoAIConfig.moai_7b(text_config=text, **(experts | kept | changed))


SIZES = {
    # words of the prompt, words of the verbalised scene
    "nano": (MoAIConfig.moai_nano, 60, 200),
    "7b": (MoAIConfig.moai_7b, 60, 700),
    "sparse": (sparse_nano, 60, 200),
    "sparse_16b": (sparse_16b, 60, 700),
}
NEW_TOKENS = 128
VARIANTS = {
    "tuned": {"coordinate_descent_tuning": True},
    "library": {},
    "autotuned": {"coordinate_descent_tuning": True, "max_autotune_gemm": True},
}
"""Ways to compile a decoding step."""


@dataclass
class Setup:
    """What is measured: `size` a key of `SIZES`, where, and how often each figure is taken."""

    size: str
    device: torch.device
    batches: tuple[int, ...]
    repeats: int = 5
    deadline: float = float("inf")
    rows: list[dict] = field(default_factory=list)

    @property
    def dtype(self) -> torch.dtype:
        """bf16 on CUDA, fp32 elsewhere."""
        return torch.bfloat16 if self.device.type == "cuda" else torch.float32

    @cached_property
    def model(self) -> MoAIForConditionalGeneration:
        """Random weights, made on the device."""
        return random_model(self.size, self.device, self.dtype)

    def add(self, part: str, what: str, value: float, unit: str) -> None:
        """Records and prints one figure."""
        self.rows.append({"part": part, "what": what, "value": value, "unit": unit})
        print(f"{part:12} {what:44} {value:10.4g} {unit}", flush=True)

    @property
    def late(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() > self.deadline

    def wait(self) -> None:
        """Until the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], object], warm: int = 2) -> float:
        """Median seconds of `work`, after `warm` runs that do not count."""
        for _ in range(warm):
            work()
        taken = []
        for _ in range(self.repeats):
            self.wait()
            started = time.perf_counter()
            work()
            self.wait()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    def peak(self) -> float | None:
        """Most GiB that were in use since the last call, on CUDA."""
        if self.device.type != "cuda":
            return None
        used = torch.cuda.max_memory_allocated(self.device) / GIB
        torch.cuda.reset_peak_memory_stats(self.device)
        return used

    def free(self) -> None:
        """Gives back caches and what nothing refers to."""
        forget()
        gc.collect()


def random_model(size: str, device: torch.device, dtype: torch.dtype, **changed) -> MoAIForConditionalGeneration:
    """A model of one of the sizes, with what is `changed` of it, and random weights; branches that start closed are
    opened, zeros being faster."""
    torch.manual_seed(0)
    with torch.device(device):
        model = MoAIForConditionalGeneration._from_config(SIZES[size][0](**changed), dtype=dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or (name.startswith("mixers.") and ("o_proj.1" in name or "_gate." in name)):
                parameter.normal_(std=0.02)
    return model.to(device).eval()


def random_inputs(setup: Setup, rows: int, words: int | None = None, unequal: bool = False) -> dict[str, torch.Tensor]:
    """Prompts of `words` around a picture, scenes in words, pictures and colour maps, of random content.

    With `unequal`, each row is a token shorter than the one before it.
    """
    config = setup.model.config
    _, usual, verbalised = SIZES[setup.size]
    words = usual if words is None else words
    side = config.vision_config.image_size
    draw = torch.Generator(setup.device).manual_seed(words)
    place = {"device": setup.device, "generator": draw}
    ids = torch.randint(10, config.text_config.vocab_size, (rows, words + config.num_image_tokens), **place)
    ids[:, 20 : 20 + config.num_image_tokens] = config.image_token_id
    mask = torch.ones_like(ids)
    if unequal:
        # Padding stands on the left, in the text before the picture.
        mask = (torch.arange(ids.shape[1], device=ids.device) >= torch.arange(rows, device=ids.device)[:, None]).long()
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "pixel_values": torch.randn(rows, 3, side, side, **place),
        "panoptic_pixel_values": torch.randn(rows, 3, side, side, **place),
        "aux_input_ids": torch.randint(10, config.text_config.vocab_size, (rows, verbalised), **place),
        "aux_attention_mask": torch.ones(rows, verbalised, dtype=torch.long, device=setup.device),
    }


def request(setup: Setup, inputs: dict[str, torch.Tensor], new_tokens: int = NEW_TOKENS) -> Request:
    """A greedy request that no end of sentence cuts short."""
    return Request.of(setup.model, inputs | {"max_new_tokens": new_tokens, "do_sample": False, "eos_token_id": None})


def fast_engine(setup: Setup, options: dict | None = None) -> FastGeneration:
    """The fast path on fused weights, as the assistant has it; `options` of torch.compile."""
    fuse_weights(setup.model)
    return FastGeneration(setup.model, options=options)


def prompt_work(setup: Setup, engine: FastGeneration, asked: Request) -> Callable[[], torch.Tensor]:
    """Reading the prompt, from pixels and words to the first token."""
    rows, width = asked.inputs["input_ids"].shape

    def work() -> torch.Tensor:
        with torch.no_grad():
            bucket = engine.decoder.bucket(rows, width + asked.max_new_tokens)
            return engine.begin(setup.model, asked, bucket)

    return work


def decoding_seconds(setup: Setup, engine: FastGeneration, asked: Request) -> float:
    """Median seconds of one step, tokens read by the host as they come."""
    rows, width = asked.inputs["input_ids"].shape
    with torch.no_grad():
        bucket = engine.decoder.bucket(rows, width + asked.max_new_tokens)

        def work() -> None:
            bucket.position.fill_(width)
            for _ in engine.tokens(bucket, rows, asked.max_new_tokens):
                pass

        return setup.seconds(work, warm=1) / (asked.max_new_tokens - 1)


def measure_generation(setup: Setup) -> None:
    """Prefill, decoding and peak memory for each batch size, on the fast path."""
    for rows in setup.batches:
        setup.free()
        setup.model  # noqa: B018  made before memory is watched
        setup.peak()
        engine, asked = fast_engine(setup), request(setup, random_inputs(setup, rows))
        started = time.perf_counter()
        work = prompt_work(setup, engine, asked)
        work()
        setup.wait()
        setup.add("start", f"first prompt and step compiled, batch {rows}", time.perf_counter() - started, "s")
        setup.add("prefill", f"batch {rows}", 1000 * setup.seconds(work), "ms")
        step = decoding_seconds(setup, engine, asked)
        setup.add("decoding", f"step, batch {rows}", 1000 * step, "ms")
        setup.add("decoding", f"batch {rows}", rows / step, "tokens/s")
        peak = setup.peak()
        if peak is not None:
            setup.add("memory", f"peak of prefill and decoding, batch {rows}", peak, "GiB")
        if setup.late:
            return


def measure_plain(setup: Setup) -> None:
    """The plain path: transformers' generate on a growing cache."""
    for rows in setup.batches:
        setup.free()
        inputs = random_inputs(setup, rows)
        inputs |= {"do_sample": False, "eos_token_id": None}
        first, both = (
            setup.seconds(lambda given=inputs | {"max_new_tokens": count}: setup.model.generate(**given), warm=1)
            for count in (1, 17)
        )
        setup.add("plain", f"prefill, batch {rows}", 1000 * first, "ms")
        setup.add("plain", f"decoding, batch {rows}", rows * 16 / (both - first), "tokens/s")
        if setup.late:
            return


def measure_questions(setup: Setup) -> None:
    """First tokens of questions of other lengths after one is warm, and whether anything was compiled for them."""
    engine = fast_engine(setup)
    for index, words in enumerate((60, 60, 75, 91, 108)):
        asked = request(setup, random_inputs(setup, 1, words))
        before = counters["stats"]["unique_graphs"]
        setup.wait()
        started = time.perf_counter()
        prompt_work(setup, engine, asked)()
        setup.wait()
        taken = 1000 * (time.perf_counter() - started)
        name = "first" if not index else f"question {index + 1}"
        setup.add("questions", f"{name}, {words} words: first token", taken, "ms")
        setup.add("questions", f"{name}: graphs compiled", counters["stats"]["unique_graphs"] - before, "")


def measure_agreement(setup: Setup) -> None:
    """Logits of the fast path against the plain one's, teacher-forced over one answer, rows of unequal length."""
    rows = min(max(setup.batches), 2)
    inputs = random_inputs(setup, rows, unequal=True)
    asked, width = request(setup, inputs, 32), inputs["input_ids"].shape[1]
    engine = fast_engine(setup)
    with torch.no_grad():
        bucket = engine.decoder.bucket(rows, width + 32)
        ours, said = [engine.begin(setup.model, asked, bucket)], [bucket.tokens[:rows].clone()]
        decoder = engine.decoder
        for _ in range(31):
            ours.append(step_logits(decoder, bucket)[:rows])
            decoder.step(bucket)
            said.append(bucket.tokens[:rows].clone())
        fresh = torch.stack(said[:-1], dim=1)
        full = inputs | {
            "input_ids": torch.cat((inputs["input_ids"], fresh), dim=1),
            "attention_mask": torch.cat((inputs["attention_mask"], torch.ones_like(fresh)), dim=1),
            "prompt_mask": torch.cat((inputs["attention_mask"], torch.zeros_like(fresh)), dim=1),
        }
        theirs = setup.model(**full, logits_to_keep=32).logits.float()
    ours = torch.stack(ours, dim=1).float()
    difference = (ours - theirs).norm() / theirs.norm()
    same = (ours.argmax(-1) == theirs.argmax(-1)).float().mean()
    setup.add("agreement", "norm of the difference over norm of logits", difference.item(), "")
    setup.add("agreement", "same best token", 100 * same.item(), "%")


def step_logits(decoder: Decoder, bucket: Bucket) -> torch.Tensor:
    """Logits (B, V) that the next step chooses from; that step repeats what this writes into the cache."""
    return score(*decoder.states(bucket), decoder.norm, decoder.epsilon, decoder.head)


def measure_variants(setup: Setup) -> None:
    """Decoding with the step compiled in each way of `VARIANTS`."""
    for rows in setup.batches:
        for name, options in VARIANTS.items():
            if setup.late:
                return
            setup.free()
            torch._dynamo.reset()
            engine = fast_engine(setup, options)
            asked = request(setup, random_inputs(setup, rows))
            prompt_work(setup, engine, asked)()
            step = decoding_seconds(setup, engine, asked)
            setup.add("variants", f"{name}, batch {rows}", rows / step, "tokens/s")


def measure_tiers(setup: Setup) -> None:
    """Weights, peak memory and speed at batch 1 of each memory tier."""
    for tier in ("bf16", "int8", "int4"):
        if setup.late:
            return
        try:
            check_tier(tier, setup.device)
        except ValueError as error:
            print(f"tiers        {error}", flush=True)
            continue
        setup.free()
        torch._dynamo.reset()
        if tier != "bf16":
            vars(setup).pop("model", None)
            setup.model = quantize(random_model(setup.size, setup.device, setup.dtype), tier, setup.device)
        setup.free()
        setup.peak()
        weights = setup.peak()
        engine, asked = fast_engine(setup), request(setup, random_inputs(setup, 1))
        work = prompt_work(setup, engine, asked)
        setup.add("tiers", f"{tier}: prefill, batch 1", 1000 * setup.seconds(work), "ms")
        setup.add("tiers", f"{tier}: decoding, batch 1", 1 / decoding_seconds(setup, engine, asked), "tokens/s")
        if weights is not None:
            setup.add("tiers", f"{tier}: weights", weights, "GiB")
            setup.add("tiers", f"{tier}: peak", setup.peak(), "GiB")
        del engine, asked, work
    vars(setup).pop("model", None)


def measure_profile(setup: Setup) -> None:
    """Prints where the device's time goes in prefill and in eight decoding steps, for each batch size."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if setup.device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    order = f"self_{'device' if setup.device.type == 'cuda' else 'cpu'}_time_total"
    for rows in setup.batches:
        engine, asked = fast_engine(setup), request(setup, random_inputs(setup, rows), 9)
        work = prompt_work(setup, engine, asked)
        setup.seconds(work)
        decoding_seconds(setup, engine, asked)
        width = asked.inputs["input_ids"].shape[1]
        bucket = engine.decoder.bucket(rows, width + 9)

        def steps(engine: FastGeneration = engine, bucket: Bucket = bucket, rows: int = rows) -> None:
            list(engine.tokens(bucket, rows, 9))

        for name, part in (("prefill", work), ("decoding", steps)):
            with torch.no_grad(), torch.profiler.profile(activities=kinds) as profile:
                part()
                setup.wait()
            print(f"{name}, batch {rows}")
            print(profile.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=60), flush=True)
