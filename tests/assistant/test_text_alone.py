"""Without a picture the language model answers as it did before it was taught about pictures."""

import pytest
import torch

from moai.assistant import MoAI
from moai.inference.strategies import Wording, draft
from moai.models.adapters.folder import save_adapter
from moai.models.adapters.lora import add_lora
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.pretrained import build
from moai.models.pretrained.language import load_language
from moai.untaught import speaks_without_a_picture
from perception import Perception
from tests.models.adapters.test_lora import open_lora
from tests.models.pretrained.families import language_model, vision_encoder

CHAT = [{"role": "user", "content": "What is this? A dog"}]


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A built model whose decoder has learnt something, as an adapter, and the folder of its language model."""
    place = tmp_path_factory.mktemp("taught")
    words, eyes = language_model("llama", place / "words"), vision_encoder("clip", place / "eyes")
    model, processor = build(str(words), str(eyes), mixers="every=1")
    for part in (model, processor):
        part.save_pretrained(place / "base")
    base = MoAIForConditionalGeneration.from_pretrained(place / "base")
    torch.manual_seed(1)
    add_lora(model, 2, 4.0)
    open_lora(model)
    save_adapter((model, processor), (base, processor), place / "base", place / "adapter")
    return MoAI.from_pretrained(place / "adapter", perception=Perception("ocr", cache_size=0), device="cpu"), words


def test_text_alone_is_answered_by_the_untaught_model(taught):
    assistant, words = taught
    plain, _ = load_language(str(words), None)
    prompt = assistant.prompt_ids(CHAT, with_image=False)
    said = plain.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)[0, len(prompt) :]
    answer = assistant.chat(None, CHAT, max_new_tokens=8)
    assert answer.text == assistant.processor.tokenizer.decode(said, skip_special_tokens=True).strip()
    drafts = draft(plain, {"input_ids": torch.tensor([prompt])}, Wording(8, temperature=1.0, seed=3), 3).ids
    told = assistant.chat(None, CHAT, max_new_tokens=8, samples=3, temperature=1.0, seed=3).drafts
    texts = assistant.processor.tokenizer.batch_decode(drafts, skip_special_tokens=True)
    assert [one.text for one in told] == [text.strip() for text in texts]
    taught_says = assistant.model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)[0, len(prompt) :]
    assert taught_says.tolist() != said.tolist()
    assert speaks_without_a_picture(assistant.model) is speaks_without_a_picture(assistant.model)
    assert not answer.gates


def test_a_model_that_does_not_know_speaks_itself():
    assistant = MoAI.from_pretrained("moai-nano")
    assert speaks_without_a_picture(assistant.model) is assistant.model
