"""Language models of every family: what the built model says is what the model alone says."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from moai.inference.fused import can_be_fused
from moai.inference.generation import generate
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.pretrained import build
from tests.conftest import opened, single
from tests.models.pretrained.families import LANGUAGE, language_model, vision_encoder


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    return vision_encoder("clip", tmp_path_factory.mktemp("eyes"))


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


@pytest.mark.parametrize("family", LANGUAGE)
@torch.no_grad()
def test_a_family(family, eyes, tmp_path):
    folder = language_model(family, tmp_path / "host")
    host = AutoModelForCausalLM.from_pretrained(folder).eval()
    model, processor = build(folder, eyes, mixers="every=2", rank=4, latents=6)
    ids = torch.tensor([processor.conversation_ids([{"role": "user", "content": "What is this?"}], False)])
    settings = dict(max_new_tokens=5, do_sample=False, eos_token_id=None)
    assert torch.equal(model.generate(input_ids=ids, **settings), host.generate(input_ids=ids, **settings))
    # With a picture and with experts, but closed, it is the backbone; opened it listens to them.
    inputs = picture_inputs(model, processor)
    plain = {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    silent = model(**plain).logits[:, -1]
    torch.testing.assert_close(model(**inputs).logits[:, -1], silent)
    opened(model)
    assert (model(**inputs).logits[:, -1] - model(**plain).logits[:, -1]).abs().max() > 1e-3
    logits = model(**inputs).logits[:, -1]
    for row in range(2):
        torch.testing.assert_close(model(**single(inputs, row)).logits[0, -1], logits[row], rtol=1e-3, atol=1e-4)
    model.save_pretrained(tmp_path / "built")
    again = MoAIForConditionalGeneration.from_pretrained(tmp_path / "built").eval()
    torch.testing.assert_close(again(**inputs).logits[:, -1], logits, rtol=1e-5, atol=1e-5)
    if can_be_fused(model.config.text_config):
        slow = generate(model, fast=False, **inputs, **settings)
        assert torch.equal(generate(model, fast=True, **inputs, **settings), slow)
