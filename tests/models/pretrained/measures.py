"""How exactly tiny models of a family are carried, as figures: python -m tests.models.pretrained.measures docs/hosts.md
writes them into the page."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from transformers import AutoModel, AutoModelForCausalLM

from moai.inference.fused import can_be_fused
from moai.inference.generation import generate
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.pretrained import build
from tests.conftest import opened, single
from tests.models.pretrained.families import LANGUAGE, TIMM, VISION, language_model, timm_encoder, vision_encoder

_TOKENS = dict(max_new_tokens=5, do_sample=False, eos_token_id=None)
BEGIN, END = "<!-- measured: {} -->", "<!-- end -->"


@dataclass(frozen=True)
class Carried:
    """Largest differences of logits (or features): to the part alone, of a left-padded batch to its rows alone, and of
    the model saved and loaded; whether answers are the part's own, and whether the fast path gives the same (None: it
    does not know the family)."""

    alone: float
    rows: float
    loaded: float
    answers: bool = True
    fast: bool | None = None


def differ(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())


def loaded(model, folder: Path) -> MoAIForConditionalGeneration:
    """The model saved and loaded."""
    model.save_pretrained(folder)
    return MoAIForConditionalGeneration.from_pretrained(folder).eval()


def picture_inputs(model, processor) -> dict:
    """Two rows of different lengths behind one picture each, with words of experts."""
    generator = torch.Generator().manual_seed(1)
    picture = [model.config.image_token_id] * model.config.num_image_tokens
    rows = [[5, 6, *picture, 7, 8, 9, 10], [5, 6, *picture, 11]]
    width, side = max(map(len, rows)), processor.image_size
    return {
        "input_ids": torch.tensor([[0] * (width - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows]),
        "pixel_values": torch.randn(2, 3, side, side, generator=generator),
        "panoptic_pixel_values": torch.randn(2, 3, side, side, generator=generator),
        "aux_input_ids": torch.tensor([[20, 21, 22, 23, 24, 25, 26], [27, 28, 29, 30, 0, 0, 0]]),
        "aux_attention_mask": torch.tensor([[1] * 7, [1] * 4 + [0] * 3]),
    }


@torch.no_grad()
def of_language(family: str, eyes: Path, place: Path) -> Carried:
    """A family of language models behind the vision encoder in `eyes`."""
    folder = language_model(family, place / "host")
    host = AutoModelForCausalLM.from_pretrained(folder).eval()
    model, processor = build(folder, eyes, mixers="every=2", rank=4, latents=6)
    ids = torch.tensor([processor.conversation_ids([{"role": "user", "content": "What is this?"}], False)])
    alone = differ(model(input_ids=ids).logits, host(input_ids=ids).logits)
    answers = torch.equal(model.generate(input_ids=ids, **_TOKENS), host.generate(input_ids=ids, **_TOKENS))
    # With a picture and with experts, but closed, it is the backbone; opened it listens to them.
    inputs = picture_inputs(model, processor)
    plain = {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    closed, silent = model(**inputs).logits[:, -1], model(**plain).logits[:, -1]
    answers = answers and differ(closed, silent) < 1e-5
    opened(model)
    logits = model(**inputs).logits[:, -1]
    if differ(model(**plain).logits[:, -1], logits) < 1e-3:
        raise AssertionError(f"the mixers of {family} change nothing")
    rows = max(differ(model(**single(inputs, row)).logits[0, -1], logits[row]) for row in range(2))
    kept = differ(loaded(model, place / "built")(**inputs).logits[:, -1], logits)
    fast = None
    if can_be_fused(model.config.text_config):
        both = (generate(model, fast=way, **inputs, **_TOKENS) for way in (True, False))
        fast = torch.equal(*both)
    return Carried(alone, rows, kept, answers, fast)


@torch.no_grad()
def of_vision(family: str, words: Path, place: Path) -> Carried:
    """A family of vision encoders of transformers before the language model in `words`."""
    folder = vision_encoder(family, place / "eyes")
    model, processor = build(words, folder, rank=4, mixers="1")
    side = processor.image_size
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    states = AutoModel.from_pretrained(folder).eval()(pixel_values=pixels).last_hidden_state
    tokens = states.flatten(2).transpose(1, 2) if states.ndim == 4 else states[:, -processor.num_image_tokens :]
    return _of_features(model, pixels, tokens, place)


@torch.no_grad()
def of_timm(name: str, words: Path, place: Path) -> Carried:
    """A backbone of timm before the language model in `words`."""
    folder, side = timm_encoder(name, place / "eyes"), TIMM[name]
    model, _ = build(words, folder, rank=4, mixers="1", image_size=side)
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        whole = timm.create_model(f"local-dir:{folder}", pretrained=True, img_size=side).eval()
    except TypeError:  # one that need not know the side of its pictures
        whole = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    features = whole.forward_intermediates(pixels, indices=1, intermediates_only=True)[-1]
    return _of_features(model, pixels, features.flatten(2).transpose(1, 2), place)


def _of_features(model, pixels: torch.Tensor, tokens: torch.Tensor, place: Path) -> Carried:
    found = model.vision(pixels)
    assert found.shape == tokens.shape
    rows = max(differ(model.vision(pixels[row : row + 1])[0], found[row]) for row in range(2))
    return Carried(differ(found, tokens), rows, differ(loaded(model, place / "built").vision(pixels), found))


def tables(place: Path) -> dict[str, list[str]]:
    """Markdown rows of every family, by the name of their table."""
    words, eyes = language_model("llama", place / "words"), vision_encoder("clip", place / "eyes")
    rows: dict[str, list[str]] = {"language": [], "vision": []}
    for family in LANGUAGE:
        told = of_language(family, eyes, place / family)
        rows["language"].append(
            f"| {family} | {'same' if told.answers else 'OTHER'} | {told.alone:.0e} | {told.rows:.0e} | "
            f"{told.loaded:.0e} | {'plain' if told.fast is None else 'fast' if told.fast else 'OTHER'} |"
        )
    for library, families, measure in (("transformers", VISION, of_vision), ("timm", TIMM, of_timm)):
        for family in families:
            told = measure(family, words, place / family)
            rows["vision"].append(f"| {family} | {library} | {told.alone:.0e} | {told.rows:.0e} | {told.loaded:.0e} |")
    return rows


def main(page: Path) -> None:
    """Writes the rows into the page, between the comments of each table."""
    text = page.read_text()
    with tempfile.TemporaryDirectory() as place:
        for name, rows in tables(Path(place)).items():
            before, rest = text.split(BEGIN.format(name) + "\n")
            old, after = rest.split(END, 1)
            title = old.splitlines()[:2]
            text = "\n".join([before + BEGIN.format(name), *title, *rows, END]) + after
    page.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
