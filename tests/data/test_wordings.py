"""Questions are put as benchmarks put them, and the answers stay."""

import numpy as np
import pytest

from moai.data.example import Example
from moai.data.wordings import Reworded, reworded


class Fixed:
    class_names = ("dog",)

    def examples(self, position):
        turns = [("Is there a dog?", "Yes"), ("What is it?\nA. a cat\nB. a dog", "B"), ("How many?", "2")]
        yield Example(turns=turns, dialogue=[{"role": "user", "content": "What is it?"},
                                             {"role": "assistant", "content": "a dog"}])  # fmt: skip


def forms(question, answer, count=3000):
    return {reworded(question, answer, np.random.default_rng(seed)) for seed in range(count)}


def test_suffixes_fit_the_answer():
    asked, chosen, told = forms("Is there a dog?", "Yes"), forms("Which?\nA. one\nB. two", "A"), forms("Say.", "x" * 99)
    assert "Is there a dog? Please answer yes or no." in asked and "IS THERE A DOG?" in asked
    assert "<image>\nIs there a dog?" in asked and any("🐶" in text for text in asked)
    assert "Is there a dog?\nAnswer the question using a single word or phrase." in asked
    assert "Which?\nA. one\nB. two\nAnswer with the option's letter from the given choices directly." in chosen
    assert not any("yes or no" in text for text in chosen | told)
    described = forms("Describe it.", "A dog runs in the deep snow.") | forms("In a full sentence: how?", "It is so.")
    assert not any("word or phrase" in text.lower() for text in described)
    assert any("single word" in text for text in forms("Where is the cat?", "There is no cat."))
    assert not any("single word" in text.lower() for text in told)


def test_names_of_things_are_never_mistyped():
    assert all("zebra" in text.lower() for text in forms("What color is the zebra in the picture?", "white"))


def test_a_share_of_the_turns_and_no_answer_changes():
    plain = next(Fixed().examples(0))
    always, never = (next(Reworded(Fixed(), share, 1).examples(0)) for share in (1.0, 0.0))
    turns = list(always.turns)
    assert [answer for _, answer in turns] == [answer for _, answer in plain.turns]
    assert any(one != other for one, other in zip(turns, plain.turns, strict=True))
    assert always.dialogue[1] == plain.dialogue[1] and list(never.turns) == plain.turns
    assert list(next(Reworded(Fixed(), 1.0, 1).examples(0)).turns) == turns
    assert Reworded(Fixed(), 0.5, 1).class_names == ("dog",) and Reworded(Fixed(), 0.5, 1).held_out(3) == []
    with pytest.raises(ValueError, match="within 0 to 1"):
        Reworded(Fixed(), 1.5, 1)
