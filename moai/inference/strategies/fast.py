"""The fast path of drafts: rows of a prompt's cache copied, weak rows in the second half of one bucket."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from moai.inference.choosing import Step, seeded
from moai.inference.decoding import Bucket, Way, bucket_rows
from moai.inference.generation import FastGeneration, aligned
from moai.inference.strategies.plain import Drafts, Wording
from moai.inference.strategies.weak import weak_fusion
from moai.models.modeling import MoAIForConditionalGeneration


def draft(
    engine: FastGeneration,
    model: MoAIForConditionalGeneration,
    inputs: Mapping[str, Tensor],
    wording: Wording,
    copies: int = 1,
    stopped: Callable[[Tensor], Tensor] | None = None,
) -> Drafts:
    """As `moai.inference.strategies.plain.draft`, for weak sides of mixers."""
    prompt = inputs["input_ids"]
    rows, way = len(prompt) * copies, Way(wording.temperature is not None, wording.contrast is not None, True)
    first, part = way, wording.part
    if part is not None and way.sampled:
        way = way._replace(drawn=bucket_rows(part.of))
        first = way if way.contrasted else way._replace(drawn=part.of)
    with engine.turn, torch.inference_mode(False), torch.no_grad(), torch.cuda.device_of(prompt):
        half = bucket_rows(rows)
        places = 2 * half if way.contrasted else rows
        bucket = engine.decoder.bucket(places, prompt.shape[1] + wording.max_new_tokens, way)
        logits = _read(engine, model, aligned(dict(inputs)), bucket, wording, copies, half)
        if part is not None:
            bucket.places[:rows].copy_(part.places)
        engine.decoder.choose(logits, bucket, first)
        steps: list[Step] = []
        over = torch.zeros(rows, dtype=torch.bool)

        def look() -> tuple[Tensor, ...]:
            return bucket.tokens[:rows], bucket.logprobs[:rows], bucket.changed[:rows]

        for told in engine.steps(bucket, wording.max_new_tokens, way, look):
            steps.append(Step(*told))
            over |= torch.isin(steps[-1].tokens, torch.tensor(wording.ends, dtype=torch.long))
            if stopped is not None:
                over |= stopped(torch.stack([one.tokens for one in steps], dim=1)).cpu()
            if over.all():
                break
    return Drafts.of(steps, wording)


def _read(
    engine: FastGeneration,
    model: MoAIForConditionalGeneration,
    inputs: dict[str, Tensor],
    bucket: Bucket,
    wording: Wording,
    copies: int,
    half: int,
) -> Tensor:
    """Logits (R, V) of the prompts' last tokens, those of a contrast (2 half, V); the bucket is ready to step."""
    lengths = inputs.pop("lengths")
    embeds, fusion = engine.fused(model, inputs)
    seed = wording.seed if wording.seed is not None else int(torch.randint(2**62, ()))
    engine.decoder.generator.manual_seed(seed)
    if wording.temperature is not None:
        bucket.temperature.fill_(wording.temperature)
        bucket.top_p.fill_(wording.top_p)
    bucket.position.zero_()
    logits = engine.prefill(embeds, lengths, bucket, fusion).repeat_interleave(copies, dim=0)
    rows = len(logits)
    _spread(bucket, len(embeds), copies)
    bucket.position[:rows].copy_(lengths.repeat_interleave(copies))
    contrast = wording.contrast
    if contrast is None:
        return logits
    bucket.strength.fill_(contrast.strength)
    bucket.plausible.fill_(contrast.plausible)
    part = bucket.part(half)
    with seeded(wording.seed, embeds.device):
        weak = engine.prefill(embeds, lengths, part, weak_fusion(fusion, contrast.weak))
    _spread(part, len(embeds), copies)
    bucket.position[half : half + rows].copy_(lengths.repeat_interleave(copies))
    both = logits.new_zeros(2 * half, logits.shape[1])
    both[:rows], both[half : half + rows] = logits, weak.repeat_interleave(copies, dim=0)
    return both


def _spread(bucket: Bucket, prompts: int, copies: int) -> None:
    """Gives each of the first rows' caches to `copies` rows beside each other."""
    if copies > 1:
        for cache in bucket.caches:
            cache[: prompts * copies].copy_(cache[:prompts].repeat_interleave(copies, dim=0))
