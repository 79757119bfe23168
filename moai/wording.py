"""From generated token ids to an answer: where it ends, and what it took."""

from collections.abc import Collection, Mapping, Sequence

from moai.answers import Answer, Decoding, EncodedImage, Usage
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.streaming import spoken


def stops_of(processor: MoAIProcessor, settings: Decoding) -> tuple[str, ...]:
    """The texts that end an answer: that of the prompt style, and those that were asked for."""
    return (*filter(None, [processor.style.stop]), *settings.stop)


def answer_of(
    processor: MoAIProcessor,
    ends: Collection[int],
    said: Sequence[int],
    prompt: Sequence[int],
    picture: EncodedImage,
    settings: Decoding,
    timings: Mapping[str, float],
    longest: int,
) -> Answer:
    """The answer of the token ids that were `said`, perhaps padded behind its end, without the model's evidence. Ids in
    `ends` end an answer, and so does its length when it reaches `longest` tokens."""
    text = processor.tokenizer.decode(said, skip_special_tokens=True)
    stops = stops_of(processor, settings)
    said = list(said)
    ended = any(token in ends for token in said)
    while not ended and said and said[-1] == processor.tokenizer.pad_token_id:
        said.pop()
    count = next((place + 1 for place, token in enumerate(said) if token in ends), len(said))
    cut = count >= longest and not (ended or any(stop in text for stop in stops))
    stages = {**picture.timings, **timings}
    total = {"total": sum(stages.values())}
    usage = Usage(len(prompt), count, cut)
    return Answer(spoken(text, stops), picture.scene, timings=stages | total, usage=usage)


def ends_of(model: MoAIForConditionalGeneration) -> tuple[int, ...]:
    """Ids of the tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return () if ends is None else tuple(ends) if isinstance(ends, (list, tuple)) else (ends,)
