import numpy as np
import pytest

from moai.data.drawn.levels import LEVELS
from moai.evaluation.drawn.expert_noise import Rates, compare, edits, rates, table
from perception.scene import Scene, TextLine

UPPER, LOWER = (0.1, 0.1, 0.4, 0.2), (0.1, 0.6, 0.4, 0.7)


def scene(*lines):
    return Scene(100, 100, text_lines=[TextLine(text, score, box) for text, score, box in lines])


TRUTH = scene(("OPEN", 1.0, UPPER), ("EXIT", 1.0, LOWER))


@pytest.mark.parametrize(
    ("a", "b", "count"), [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("TWO WORDS", "TWOWORDS", 1)]
)
def test_edits(a, b, count):
    assert edits(a, b) == edits(b, a) == count


def test_a_perfect_reader():
    assert rates([(TRUTH, TRUTH)] * 3) == Rates(6, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def test_lines_are_dropped_misread_and_made_up():
    seen = scene(("OPFNN", 0.95, (0.12, 0.1, 0.4, 0.21)), ("EXIT", 0.6, LOWER), ("I", 0.9, (0.8, 0.8, 0.9, 0.9)))
    found = rates([(TRUTH, seen)])
    assert (found.exact, found.dropped, found.misread, found.false) == (0.0, 0.5, 0.5, 1.0)
    assert found.wrong_characters == 2 and found.score == pytest.approx(0.925)


def test_the_same_text_elsewhere_counts_as_read():
    seen = scene(("OPEN", 1.0, (0.7, 0.7, 0.9, 0.8)), ("EXIT", 1.0, LOWER))
    assert rates([(TRUTH, seen)]).exact == 1


def test_scenes_without_text_have_no_rates():
    with pytest.raises(ValueError, match="no scene"):
        rates([(scene(), scene())])


def test_a_blind_reader_beside_the_simulated_one():
    found = compare(lambda picture: scene(), 0.9, 6)
    assert found["real"].dropped == 1 and found["simulated"].exact > 0.8
    assert np.isclose(found["simulated"].lines / found["real"].lines, 30)
    text = table({level: found for level in LEVELS})
    assert text.count("\n") == 7 and "| hard | real |" in text and "100.0%" in text
