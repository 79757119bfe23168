import re

import numpy as np
import pytest

from moai.data.drawn.questions.wordings import FORMS
from moai.data.drawn.text.pages import SHOWN, ask_of_page, page_lines, shown
from moai.data.drawn.text.words import word_list


def pages(count=150, split="train"):
    rng = np.random.default_rng(3)
    return [page_lines(rng, split) for _ in range(count)]


def test_pages_have_one_to_ten_lines_of_several_words():
    assert {len(lines) for lines in pages()} >= {1, 2, 5, 10}
    assert max(len(line.split()) for lines in pages() for line in lines) >= 6
    assert any(line.islower() for lines in pages() for line in lines)


def test_training_pages_never_show_a_held_out_word():
    held_out = set(word_list("heldout"))
    said = {word.lower() for lines in pages() for line in lines for word in re.findall("[A-Za-z]+", line)}
    # Random strings are no words of the list, but parts of them between digits may be.
    assert len(said & held_out) < 3 and len(said) > 300


def test_answers_give_whole_words_and_show_where_text_is_left_out():
    for lines in pages():
        text = shown(lines)
        assert len(text) <= SHOWN + 4
        whole = ", ".join(line.rstrip(".,:") for line in lines)
        cut = text.endswith(" ...")
        assert text == whole or (cut and whole.startswith(text.removesuffix(" ...")))
        assert cut == (len(whole) > SHOWN)
    assert shown(["Only this."]) == "Only this"


@pytest.mark.parametrize("wording", ["varied", "heldout"])
def test_text_is_asked_for_in_either_form_and_missed_where_there_is_none(wording):
    rng = np.random.default_rng(0)
    asked = ask_of_page(["EXIT"], rng, 60, wording)
    assert {q.answer for q in asked} == {"EXIT"} and not any("{" in q.question for q in asked)
    assert {"sign" in q.question for q in asked} == {True, False}
    for q in ask_of_page([], rng, 60, wording):
        assert q.answer == ("There is no sign." if "the sign" in q.question else "There is no text.")
    assert all("{sign}" in template for template in FORMS["reading"].of(wording))
