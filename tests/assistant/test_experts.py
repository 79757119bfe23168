"""Which experts of a sparse decoder an answer's tokens took."""

import json

import pytest
import torch

from moai.assistant import MoAI
from moai.evidence import ExpertLoads
from moai.models.sparse.record import ExpertRecord, loads
from moai.models.sparse.upcycle import upcycle
from moai.web import views
from perception import Perception
from tests.conftest import example_image

QUESTION = "What does the sign say?"


@pytest.fixture(scope="module")
def assistant(model_folder):
    given = Perception(experts="seg", segmentation=lambda picture, scene: None)
    made = MoAI.from_pretrained(model_folder, device="cpu", perception=given)
    made.model.generation_config.eos_token_id = None  # a random model must not stop at once
    made.model = upcycle(made.model, 3, 1, 3, fresh=0.5).eval()
    return made


def test_an_answer_says_which_experts_its_tokens_took(assistant):
    pictures = [example_image("street"), example_image("bed")]
    answer = assistant.ask(pictures[0], QUESTION, max_new_tokens=5)
    assert [one.layer for one in answer.experts] == [2, 3]
    for one in answer.experts:
        for shares in (one.image, one.words, one.answer):
            assert len(shares) == 6 and sum(shares) == pytest.approx(1, abs=1e-5) and min(shares) >= 0
    assert json.loads(json.dumps(answer.to_dict()))["experts"] == [vars(one) for one in answer.experts]
    both = assistant.ask_batch(pictures, [QUESTION, "Why?"], max_new_tokens=5)
    for one, alone in zip(both[0].experts, answer.experts, strict=True):
        assert one.image == pytest.approx(alone.image, abs=1e-5)
        assert one.answer == pytest.approx(alone.answer, abs=1e-5)
    none = assistant.ask(pictures[0], QUESTION, max_new_tokens=1)
    assert not any(none.experts[0].answer), "the last token chooses nothing"


def test_they_are_those_of_the_tokens(assistant):
    """Shares of an answer equal those of a single pass over prompt and answer."""
    encoded = assistant.encode(example_image("street"))
    prompt = assistant.prompt_ids([{"role": "user", "content": QUESTION}])
    answer = assistant.ask(encoded, QUESTION, max_new_tokens=5)
    inputs = assistant.prompt_inputs([encoded], [prompt])
    with torch.inference_mode():
        said = assistant.model.generate(**inputs, max_new_tokens=5, do_sample=False, pad_token_id=0)
        record = ExpertRecord()
        seen = torch.ones_like(said)
        seen[:, len(prompt) :] = 0
        told = {"input_ids": said, "attention_mask": torch.ones_like(said), "prompt_mask": seen}
        assistant.model(**inputs | told, experts=record)
    for one in answer.experts:
        routes = record.layers[one.layer - 1]
        assert one.image == pytest.approx(loads(routes, "image").tolist(), abs=1e-5)
        last = routes._replace(chosen=routes.chosen[:, len(prompt) : -1], token_mask=None, image_mask=None)
        assert one.answer == pytest.approx(loads(last).tolist(), abs=1e-5)


def test_a_dense_model_has_none(assistant, model_folder):
    dense = MoAI.from_pretrained(model_folder, device="cpu", perception=assistant.perception)
    answer = dense.ask(example_image("street"), QUESTION, max_new_tokens=2)
    assert answer.experts == [] and "experts" not in answer.to_dict()


def test_the_page_shows_them(assistant):
    answer = assistant.ask(example_image("street"), QUESTION, max_new_tokens=5)
    html = views.gates_chart(answer.gates, answer.experts)
    assert html.count('class="columns"') == 6 and "Image tokens took these" in html
    one = ExpertLoads(2, [0.25, 0.0, 0.75], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0])
    html = views.gates_chart(answer.gates, [one])
    assert 'aria-label="Layer 2: most often expert 3 75%, expert 1 25%"' in html
    assert html.count('class="columns"') == 2 and "Words of the answer" not in html.split("Words of the question")[1]
    assert 'title="Expert 1: 25.0%"' in html and "columns" not in views.gates_chart(answer.gates)
