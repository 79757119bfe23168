import numpy as np
import pytest

from moai.evaluation.metrics.bootstrap import interval


def test_mean_and_an_interval_of_known_width():
    marks = [1.0] * 50 + [0.0] * 50
    mean, low, high = interval([marks], [list(range(100))])
    assert mean == 0.5
    half = 1.96 * np.sqrt(0.25 / 100)
    assert low == pytest.approx(0.5 - half, abs=0.02) and high == pytest.approx(0.5 + half, abs=0.02)


def test_questions_about_one_picture_are_drawn_together():
    marks, pictures = [1.0] * 50 + [0.0] * 50, [number // 10 for number in range(100)]
    _, low, high = interval([marks], [pictures])
    assert high - low > 0.5


def test_several_tasks_count_alike():
    assert interval([[1.0], [0.0, 0.0, 0.0]], [["a"], ["a", "b", "b"]])[0] == 0.5
    with pytest.raises(ValueError, match="at least one mark of every task"):
        interval([[]], [[]])
