"""One person's chat with the embedded model, without the page around it."""

import copy
import json
import threading
from pathlib import Path

import pytest
from PIL import Image

from moai.web.handlers import Handlers, messages_of
from moai.web.session import (
    MAX_BYTES,
    MAX_QUESTION_LENGTH,
    Session,
    Settings,
    checked_image,
    checked_question,
)
from moai.web.views import turn_times
from perception import ImageError
from perception.registry import expert_names

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STREET, BED = str(EXAMPLES / "street.png"), str(EXAMPLES / "bed.png")


def last(turns):
    """The turn as it ended."""
    *_, turn = turns
    return turn


def test_the_examples_are_answered_as_promised(engine):
    for example in json.loads((EXAMPLES / "examples.json").read_text()):
        path = str(EXAMPLES / example["picture"])
        turn = last(Session().answer(engine, path, example["question"], Settings()))
        assert turn.answer == example["answer"], example
        assert turn.done and not turn.stopped and 0 < turn.first_token <= turn.seconds


def test_answers_stream_and_leave_their_evidence(engine):
    session = Session()
    grown = [turn.answer for turn in session.answer(engine, STREET, "Describe the picture.", Settings())]
    assert len(set(grown)) > 3
    assert session.look.words.startswith("The image includes") and "GALLERY" in session.look.words
    assert [gate.layer for gate in session.gates] == list(engine.about.mixer_layers)
    assert all(0 <= share <= 1 for gate in session.gates for share in gate.aux_map)


def test_a_new_picture_at_any_turn_starts_a_new_talk(engine):
    session = Session()
    first = last(session.answer(engine, STREET, "How many cars are in this picture?", Settings()))
    second = last(session.answer(engine, STREET, "What color is the sign?", Settings()))
    assert first.picture == STREET and second.picture is None
    third = last(session.answer(engine, BED, "What is the fox sitting on?", Settings()))
    assert third.picture == BED and third.answer == "bed"
    assert [one["content"] for one in session.history()] == ["What is the fox sitting on?", "bed"]
    assert len(session.turns) == 3


def test_stop_ends_the_answer_and_keeps_what_was_said(engine):
    full = last(Session().answer(engine, STREET, "Describe the picture.", Settings())).answer
    session = Session()
    for turn in session.answer(engine, STREET, "Describe the picture.", Settings()):
        if turn.answer and not turn.done:
            session.stop()
    assert turn.stopped and turn.done and full.startswith(turn.answer)
    assert last(session.answer(engine, STREET, "What color is the sign?", Settings())).answer == "purple"


def test_leaving_in_the_middle_of_an_answer_leaves_the_session_usable(engine):
    session = Session()
    turns = session.answer(engine, STREET, "Describe the picture.", Settings())
    next(turns)
    next(turns)
    turns.close()
    assert session.turns[-1].done and session.stream is None
    assert last(session.answer(engine, STREET, "What color is the sign?", Settings())).answer == "purple"


def test_an_answer_to_a_chat_that_was_cleared_leaves_nothing(engine):
    session = Session()
    for turn in session.answer(engine, STREET, "Describe the picture.", Settings()):
        if turn.answer and session.turns:
            session.clear()
    assert session.turns == [] and session.gates == [] and not session.shows(turn)


def test_what_came_late_to_a_chat_that_was_cleared_is_taken_back(engine):
    """The page may get an answer's last piece after it was told to be empty."""
    session, page = Session(), Handlers(engine)
    page.on_submit(session, "Describe the picture.")
    seen = []
    for chat, _, speed, *_ in page.on_ask(session, STREET, 64, 0.0, False):
        seen.append((chat, speed))
        if len(seen) == 3:
            session.clear()
    assert seen[2][0] and seen[2][1]
    assert seen[-1] == ([], "")


def test_shares_of_an_answer_do_not_fall_upon_another_picture(engine):
    session = Session()
    for turn in session.answer(engine, STREET, "Describe the picture.", Settings()):
        if turn.answer and not turn.done:
            session.see(engine, BED)
    assert turn.answer and session.look.path == BED and session.gates == []


def test_questions_at_the_same_time_are_answered_one_after_the_other(engine):
    session = Session()
    asked = ["What does the sign say?", "What color is the sign?", "How many cars are in this picture?"]
    people = [
        threading.Thread(target=lambda one=one: last(session.answer(engine, STREET, one, Settings()))) for one in asked
    ]
    for one in people:
        one.start()
    for one in people:
        one.join(60)
    assert sorted(one.question for one in session.turns) == sorted(asked)
    assert all(one.done and one.answer for one in session.turns)
    assert [one.picture for one in session.turns] == [STREET, None, None]


def test_without_ocr_the_words_of_the_sign_are_not_handed_on(engine):
    session = Session()
    kept = [name for name in expert_names() if name != "ocr"]
    everything, without = session.compare(engine, STREET, "What does the sign say?", kept, True, Settings())
    assert "GALLERY" in everything.words and "GALLERY" not in without.words
    assert without.words == everything.words[: len(without.words)]
    assert everything.answer == "GALLERY" and without.answer not in ("", "GALLERY") and without.title == "Without OCR"


def test_without_moai_no_expert_is_heard(engine):
    _, plain = Session().compare(engine, STREET, "What color is the sign?", expert_names(), False, Settings())
    assert plain.words == "" and plain.listened is None and plain.answer == "purple"


def test_sessions_share_nothing(engine):
    session = Session()
    last(session.answer(engine, STREET, "What color is the sign?", Settings()))
    other = copy.deepcopy(session)
    assert other.look is None and other.turns == [] and other.lock is not session.lock


def test_clear_forgets_the_talk_and_keeps_the_picture(engine):
    session = Session()
    last(session.answer(engine, STREET, "What color is the sign?", Settings()))
    session.clear()
    assert session.turns == [] and session.gates == [] and session.look is not None
    assert last(session.answer(engine, STREET, "What color is the sign?", Settings())).picture == STREET


def test_very_large_pictures_are_reduced_before_the_experts_look(engine, tmp_path):
    path = tmp_path / "large.png"
    with Image.open(STREET) as picture:
        picture.convert("RGB").resize((1700, 1000)).save(path, compress_level=1)
    look = Session().see(engine, str(path))
    assert max(look.original.size) == 1600 and max(look.picture.size) == 1200
    assert all(one.mask is None or one.mask.shape == look.picture.size[::-1] for one in look.scene.segments)


def test_questions_have_limits():
    assert checked_question("  Why?  ") == "Why?"
    with pytest.raises(ValueError, match="Type a question"):
        checked_question("  ")
    with pytest.raises(ValueError, match=f"up to {MAX_QUESTION_LENGTH}"):
        checked_question("x" * (MAX_QUESTION_LENGTH + 1))


def test_bad_pictures_get_a_sentence_that_hides_where_the_server_keeps_them(tmp_path):
    broken, text, large = tmp_path / "broken.png", tmp_path / "notes.png", tmp_path / "large.png"
    broken.write_bytes(Path(STREET).read_bytes()[:2000])
    text.write_text("Hello, this is a letter.")
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    long = tmp_path / f"{'long' * 40}.png"
    long.write_text("Hello, this is a letter.")
    gone = tmp_path / "gone.png"
    unread = [(text, "not a picture"), (long, "not a picture"), (gone, "no longer")]
    for path, told in [(broken, "damaged"), (large, "up to 20 MiB"), *unread]:
        with pytest.raises(ImageError) as caught:
            checked_image(str(path))
        sentence = str(caught.value)
        assert told in sentence and "/" not in sentence and sentence.endswith(".")
    with pytest.raises(ImageError, match="Choose a picture first"):
        checked_image(None)


def test_an_answer_that_is_thought_about_twice_shows_its_drafts(engine):
    session = Session()
    twice = Settings.of(12, 0, True)
    assert twice == Settings(12, None, 6) and Settings.of(12, 1.2, False) == Settings(12, 1.2, 1)
    turn = last(session.answer(engine, STREET, "What color is the sign?", twice))
    assert turn.answer == "purple" and len(turn.drafts) == 6 and turn.agreement > 0.5
    answer, folded = messages_of(session)[-2:]
    most = round(6 * turn.agreement)
    assert answer["content"] == "purple" and folded["metadata"] == {
        "title": f"{most} of 6 drafts agree",
        "status": "done",
    }
    assert f"{most} × purple" in folded["content"]
    assert f"{most} of 6 drafts agree: " in turn_times(turn) and f"width:{100 * most / 6:.0f}%" in turn_times(turn)
