"""Several texts behind one prompt are as likely as each behind a prompt of its own."""

import pytest
import torch

from moai import MoAI
from moai.inference.likelihood import target_losses
from moai.settling.continuations import continuation_losses


@pytest.fixture(scope="module")
def nano():
    return MoAI.from_pretrained("moai-nano", experts="det", device="cpu")


TEXTS = ("3", "Three dogs stand beside a red car.", "No", "Yes", "A cat")


@pytest.mark.parametrize("way", ["sdpa", "eager", "another decoder"])
@pytest.mark.parametrize("seen", [True, False])
def test_each_text_is_as_likely_as_alone(nano, way, seen, monkeypatch):
    model, processor = nano.model, nano.processor
    told = nano.encode(torch.full((64, 64, 3), 200, dtype=torch.uint8).numpy()).inputs if seen else {}
    prompt = nano.prompt_ids([{"role": "user", "content": "How many dogs are there?"}], with_image=seen)
    targets = [processor.encode_text(text) for text in TEXTS]
    pad_id = processor.tokenizer.pad_token_id
    expected = [target_losses(model, [prompt], [one], pad_id, told)[0][0] for one in targets]
    passes = []
    watch = model.register_forward_pre_hook(lambda *_: passes.append(1))
    if way == "another decoder":
        monkeypatch.setattr("moai.settling.continuations.can_be_fused", lambda config: False)
    else:
        monkeypatch.setattr(model.config.text_config, "_attn_implementation", way)
    found = continuation_losses(model, prompt, targets, pad_id, told)
    watch.remove()
    assert found == pytest.approx(expected, abs=1e-3) and len(passes) == 1
    assert continuation_losses(model, prompt, [], pad_id, told) == []
