"""Likelihoods from one pass are those of decoding: mixers see the prompt and no token of the answer."""

import pytest
import torch
from PIL import Image

from moai.evaluation.lmms.likelihood import answer_losses


@torch.inference_mode()
def token_by_token(assistant, encoded, question: str, answer: str) -> float:
    """Negative log-likelihood of the answer, each token given to a cache that the prompt alone filled."""
    processor, model = assistant.processor, assistant.model
    prompt = processor.conversation_ids([{"role": "user", "content": question}], with_image=True)
    ids = torch.tensor([prompt])
    out = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True, **encoded.inputs)
    loss = 0.0
    for token in processor.encode_text(processor.style.answer.format(answer)):
        loss -= torch.log_softmax(out.logits[0, -1].float(), dim=-1)[token].item()
        out = model(input_ids=torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
    return loss


def test_one_pass_scores_as_decoding_does(assistant):
    pictures = [assistant.encode(Image.new("RGB", (64, 48), colour)) for colour in ("red", "blue")]
    questions, answers = ["Is there a dog?", "What does the red sign say, if any?"], ["Yes", "a red car"]
    losses = [loss for loss, _ in answer_losses(assistant, pictures, questions, answers)]
    expected = [token_by_token(assistant, *one) for one in zip(pictures, questions, answers, strict=True)]
    assert losses == pytest.approx(expected, abs=1e-3)
