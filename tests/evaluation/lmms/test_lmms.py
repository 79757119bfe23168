"""lmms-eval drives MoAI: the same predictions as our API, likelihoods, and Pillow as strict as before."""

import io
import json
import math
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

pytest.importorskip("lmms_eval.evaluator")

from moai.assistant import MoAI
from moai.evaluation.drawn.documents import make_documents, scene_image
from moai.evaluation.drawn.run import run_drawn
from moai.evaluation.lmms.drawn import run_drawn_in_harness
from moai.evaluation.lmms.likelihood import answer_losses
from moai.evaluation.lmms.model import MoAIHarness, _until
from moai.evaluation.lmms.plugin import manifest
from moai.evaluation.lmms.strict import import_lmms_eval
from perception import load_image
from perception.images import ImageError

SETTINGS = {"limit": 3, "batch_size": 4}


def test_the_harness_and_our_api_predict_the_same(assistant, tmp_path):
    through = run_drawn_in_harness(assistant, "tiny", tmp_path / "harness", **SETTINGS)
    ours = run_drawn(assistant, "tiny", tmp_path / "api", **SETTINGS)
    rows = map(json.loads, (tmp_path / "api" / "answers.jsonl").read_text().splitlines())
    assert json.loads((tmp_path / "harness" / "predictions.json").read_text()) == {
        row["key"]: row["answer"] for row in rows
    }
    assert through["scores"] == ours["scores"]


def test_a_finished_run_in_the_harness_asks_nothing_again(assistant, tmp_path, monkeypatch):
    first = run_drawn_in_harness(assistant, "tiny", tmp_path, **SETTINGS)
    monkeypatch.setattr(MoAI, "ask_batch", None)
    assert run_drawn_in_harness(assistant, "tiny", tmp_path, **SETTINGS) == first


def test_the_model_and_its_tasks_are_found():
    assert manifest().model_id == "moai"
    found = [one.value for one in entry_points(group="lmms_eval.models") if one.name == "moai"]
    assert found == ["moai.evaluation.lmms.plugin:manifest"]
    registry = import_lmms_eval("models").MODEL_REGISTRY_V2
    assert registry.get_model_class("moai") is MoAIHarness


def test_the_tasks_beside_the_yaml_files_load():
    from pathlib import Path

    import moai.evaluation.lmms

    folder = str(Path(moai.evaluation.lmms.__file__).parent / "tasks")
    manager = import_lmms_eval("tasks").TaskManager(include_path=folder, include_defaults=False)
    assert manager.all_subtasks == []  # all are Python tasks
    assert set(manager.all_tasks) == {"drawn", "drawn_mmbench", "drawn_mme", "drawn_pope", "drawn_textvqa"}


def truncated() -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()[:-400]


def test_pictures_stay_strict_beside_the_harness():
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    for source in (truncated(), Image.open(io.BytesIO(truncated()))):
        with pytest.raises(ImageError, match="truncated"):
            load_image(source)


class Instance:
    def __init__(self, *args):
        self.args = args


@pytest.fixture
def model(assistant):
    made = MoAIHarness(assistant=assistant, batch_size=2)
    made.task_dict = {"task": {"test": [{"scene": one.scene} for one in make_documents(("pope",), 2)[:4]]}}
    return made


def visual(doc):
    return [scene_image(doc["scene"])]


def test_answers_end_where_the_task_says(model):
    requests = [Instance("What?", {"max_new_tokens": 5, "until": []}, visual, n, "task", "test") for n in (0, 1)]
    whole = model.generate_until(requests)
    assert all(whole)
    stop = whole[0][1]
    requests[0].args[1]["until"] = [stop]
    assert model.generate_until(requests) == [whole[0][: whole[0].index(stop)], whole[1]]
    assert _until("ab", ["", "c"]) == "ab"


@pytest.mark.parametrize(
    ("settings", "picture", "message"),
    [
        ({"num_beams": 4}, visual, "4 beams"),
        ({}, lambda doc: visual(doc) * 2, "task shows 2 pictures with one question; MoAI looks at one"),
    ],
)
def test_what_moai_cannot_do_is_told(model, settings, picture, message):
    with pytest.raises(ValueError, match=message):
        model.generate_until([Instance("What?", settings, picture, 0, "task", "test")])


def test_several_rounds_are_refused(model):
    with pytest.raises(NotImplementedError, match="single questions"):
        model.generate_until_multi_round([])


@pytest.mark.parametrize(
    "settings", [{"batch_size": "auto"}, {"experts": "seg+ears"}, {"samples": 99}, {"sample": 6}], ids=str
)
def test_bad_model_arguments_are_refused(assistant, settings):
    with pytest.raises(ValueError):
        MoAIHarness(assistant=assistant, **settings)


def test_likelihoods_do_not_depend_on_the_batch_and_know_the_greedy_answer(model):
    assistant = model.answerer.assistant
    pictures = [assistant.encode(scene_image(one.scene)) for one in make_documents(("textvqa",), 3)[:2]]
    questions = ["Is there a dog?", "What does the red sign say?"]
    said = [one.text for one in assistant.ask_batch(pictures, questions, max_new_tokens=3)]
    texts = ["Yes", "a red car", *said]
    pairs = [(pictures[n % 2], questions[n % 2], text) for n, text in enumerate(texts)]
    together = answer_losses(assistant, *zip(*pairs, strict=True))
    for pair, (loss, greedy) in zip(pairs, together, strict=True):
        ((alone, alone_greedy),) = answer_losses(assistant, *([part] for part in pair))
        assert (loss, greedy) == (pytest.approx(alone, abs=1e-3), alone_greedy)
        assert loss > 0 and math.isfinite(loss)
    for (_, greedy), text, encoded, question in zip(together[2:], said, pictures, questions, strict=True):
        prompt = assistant.processor.conversation_ids([{"role": "user", "content": question}], with_image=True)
        prompt = torch.tensor([prompt])
        out = assistant.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), **encoded.inputs, max_new_tokens=3
        )
        # Words that come back as other tokens are another answer.
        assert greedy == (out[0, prompt.shape[1] :].tolist() == assistant.processor.encode_text(f" {text}"))
    with pytest.raises(ValueError, match="empty answer"):
        answer_losses(assistant, pictures[:1], questions[:1], [" "])


def test_the_harness_gets_losses(model):
    requests = [Instance("Is it?", text, visual, 0, "task", "test") for text in (" Yes", " No", " a dog")]
    results = model.loglikelihood(requests)
    picture = model.answerer.assistant.encode(scene_image(model.task_dict["task"]["test"][0]["scene"]))
    direct = answer_losses(model.answerer.assistant, [picture] * 3, ["Is it?"] * 3, ["Yes", "No", "a dog"])
    assert [loss for loss, _ in results] == pytest.approx([loss for loss, _ in direct], abs=1e-3)
