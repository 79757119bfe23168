"""Think twice: drafts, their combination, and contrast through the assistant."""

import threading

import pytest
import torch

from moai.answers import Decoding
from moai.assistant import MoAI
from moai.models.prompts import aggregate_question
from tests.conftest import EXAMPLES

STREET = EXAMPLES / "street.png"
QUESTION = "What is behind the zebra?"


@pytest.fixture(scope="module")
def assistant():
    return MoAI.from_pretrained("moai-nano")


@pytest.fixture(scope="module")
def street(assistant):
    return assistant.encode(STREET)


def test_one_sample_and_no_contrast_are_todays_answer(assistant, street):
    usual = assistant.ask(street, QUESTION)
    for settings in ({"samples": 1, "combine": "aggregate"}, {"contrast": 0.0, "weak": "second"}):
        answer = assistant.ask(street, QUESTION, **settings)
        assert answer.text == usual.text and not answer.drafts and answer.agreement is None and not answer.changed
    assert "drafts" not in usual.to_dict() and "changed" not in usual.to_dict()


def test_drafts_and_their_agreement_are_the_evidence(assistant, street):
    answer = assistant.ask(street, "Describe the picture.", samples=6, temperature=1.5, seed=1, max_new_tokens=24)
    assert len(answer.drafts) == 6 and len({draft.text for draft in answer.drafts}) > 1
    assert answer.text in [draft.text for draft in answer.drafts]
    most = max(draft.votes for draft in answer.drafts)
    assert answer.agreement == most / 6
    assert answer.to_dict()["drafts"][0].keys() == {"text", "logprob", "votes"} and answer.gates and answer.usage
    again, other = (
        assistant.ask(street, "Describe the picture.", samples=6, temperature=1.5, seed=seed, max_new_tokens=24)
        for seed in (1, 2)
    )
    assert [draft.text for draft in again.drafts] == [draft.text for draft in answer.drafts]
    assert [draft.text for draft in other.drafts] != [draft.text for draft in answer.drafts]


def test_drafts_do_not_depend_on_their_neighbours(assistant, street):
    settings = {"samples": 3, "temperature": 1.5, "seed": 4, "max_new_tokens": 12}
    alone = assistant.ask(street, QUESTION, **settings)
    beside = assistant.ask_batch([street, street], ["Is there a dog?", QUESTION], **settings)[1]
    assert [draft.text for draft in beside.drafts] == [draft.text for draft in alone.drafts]


def test_cold_drafts_are_the_greedy_answer(assistant, street):
    answer = assistant.ask(street, QUESTION, samples=4, temperature=0.01)
    assert answer.agreement == 1.0 and answer.text == assistant.ask(street, QUESTION).text


def test_an_answer_is_made_out_of_windows_of_drafts(assistant, street, monkeypatch):
    asked = []
    answered = MoAI._answer

    def listen(self, encoded, prompts, *more):
        asked.append(self.processor.tokenizer.decode(prompts[0]))
        return answered(self, encoded, prompts, *more)

    monkeypatch.setattr(MoAI, "_answer", listen)
    answer = assistant.ask(
        street, QUESTION, samples=8, combine="aggregate", window=4, reserve=2, seed=0, max_new_tokens=8
    )
    assert len(asked) == 3 and len(answer.drafts) == 8
    assert all(f"Question: {QUESTION}" in prompt for prompt in asked)
    assert answer.text and answer.agreement is not None and "combine" in answer.timings


def test_a_picture_is_seen_once_for_all_drafts_and_turns(assistant):
    seen = []
    handle = assistant.model.vision.register_forward_hook(lambda *passed: seen.append(1))
    once = assistant.ask(STREET, QUESTION, max_new_tokens=4)
    alone = len(seen)
    assistant.ask(STREET, QUESTION, samples=4, combine="aggregate", window=2, reserve=1, seed=0, max_new_tokens=4)
    handle.remove()
    assert once.text and alone > 0 and len(seen) == 2 * alone


def test_drafts_that_do_not_fit_are_made_in_parts(assistant, street):
    settings = {"samples": 5, "temperature": 1.5, "seed": 3, "max_new_tokens": 6}
    whole = assistant.ask(street, "Describe the picture.", **settings)

    def full(module, args, kwargs):
        if len(kwargs["inputs_embeds"]) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = assistant.model.language_model.register_forward_pre_hook(full, with_kwargs=True)
    try:
        fits = 2
        parts = assistant.ask(street, "Describe the picture.", **settings)
        assert [one.text for one in parts.drafts] == [one.text for one in whole.drafts]
        assert parts.text == whole.text and parts.gates == whole.gates
        fits = 0
        with pytest.raises(ValueError, match="5 drafts did not fit into the memory of cpu"):
            assistant.ask(street, "Describe the picture.", **settings)
    finally:
        handle.remove()


def test_drafts_in_a_turn_are_letters_and_no_marks(assistant):
    tokenizer, hidden = (
        assistant.processor.tokenizer,
        "a cat" + "".join(assistant.processor.tokenizer.all_special_tokens),
    )
    with_marks, without = (
        assistant.prompt_ids([{"role": "user", "content": aggregate_question(QUESTION, [one, "a dog"])}])
        for one in (hidden, "a cat")
    )
    for mark in tokenizer.all_special_ids:
        assert with_marks.count(mark) == without.count(mark)


def test_contrast_tells_what_it_changed(assistant, street):
    assert assistant.ask(street, QUESTION, contrast=0.5).text
    answer = assistant.ask(street, "Describe the picture.", contrast=2.0, weak="no-aux", plausible=1e-4)
    assert answer.changed and answer.text != assistant.ask(street, "Describe the picture.").text
    assert answer.to_dict()["changed"] == answer.changed


@pytest.mark.parametrize("settings", [{"samples": 5, "seed": 1}, {"contrast": 1.5, "plausible": 0.001}])
def test_streamed_is_the_same_text(assistant, street, settings):
    stream = assistant.stream(street, QUESTION, **settings)
    pieces = list(stream)
    asked = assistant.ask(street, QUESTION, **settings)
    assert "".join(pieces) == asked.text == stream.answer.text
    assert [draft.text for draft in stream.drafts] == [draft.text for draft in asked.drafts]
    if stream.drafts:
        assert pieces[0] == ""  # the drafts were there before what is made out of them


def test_stop_ends_drafting_at_once(assistant, street):
    stream = assistant.stream(street, "Describe the picture.", samples=8, temperature=2.0, max_new_tokens=900)
    threading.Timer(0.3, stream._stop.set).start()
    list(stream)
    assert stream.answer.usage.new_tokens < 900 and not stream._thread.is_alive()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"samples": 0}, "samples is 0; allowed is 1 to 64"),
        ({"samples": 2.5}, "samples is 2.5; allowed is a whole number"),
        ({"samples": 6, "temperature": 0}, "6 samples need a temperature above 0"),
        ({"combine": "sum"}, "there is no way 'sum' to combine drafts; allowed are vote, aggregate"),
        ({"reserve": 6}, "reserve 6 leaves no room in a window of 6"),
        ({"contrast": -0.5}, "contrast is -0.5; allowed is 0 to 2"),
        ({"contrast": "much"}, "contrast is 'much'; allowed is a number"),
        ({"plausible": 0}, "plausible is 0; allowed is above 0, up to 1"),
        ({"weak": "worse"}, "there is no weak side 'worse'"),
        ({"contrast": 0.5, "weak": "rank2"}, "rank2 needs a model with sparse layers; this one is dense"),
        ({"contrast": 0.5, "moai": False}, "weakens what experts say; ask with a picture and its experts"),
        (
            {"samples": 6, "combine": "aggregate", "max_new_tokens": 400},
            "6 drafts of 400 tokens do not fit into this model's 2048 with the question",
        ),
    ],
)
def test_sentences(assistant, street, settings, sentence, monkeypatch):
    monkeypatch.setattr("moai.deliberation.draft", lambda *given: pytest.fail("something was done before"))
    with pytest.raises(ValueError, match=sentence):
        assistant.ask(street, QUESTION, **settings)
    with pytest.raises(ValueError, match=sentence):
        assistant.stream(street, QUESTION, **settings)


def test_the_usual_temperature():
    assert Decoding().temperature == 0 and Decoding(samples=6).temperature == 0.7
    assert Decoding(96).max_new_tokens == 96
