from copy import deepcopy

import numpy as np
import pytest

from moai.data.drawn.levels import LEVELS
from moai.data.drawn.noise import ExpertErrors, errors_at, observe
from perception.scene import Detection, Relation, Scene, Segment, TextLine

BOX = (0.2, 0.3, 0.5, 0.9)


def scene():
    labels = ["dog", "cat", "car", "tree"]
    return Scene(
        320, 240,
        segments=[Segment(label, BOX) for label in [*labels, "road"]],
        detections=[Detection(label, BOX, 1.0) for label in labels],
        objects=labels,
        relations=[Relation(0, "looking at", 1, 1.0), Relation(2, "in front of", 3, 1.0)],
        text_lines=[TextLine("OPEN", 1.0, BOX), TextLine("42", 1.0)],
        object_boxes=[BOX] * 4,
        timings={"ocr": 0.1}, warnings=["w"],
    )  # fmt: skip


def observed(count=2000, **options):
    rng = np.random.default_rng(0)
    return [observe(scene(), rng, **options) for _ in range(count)]


def test_level_zero_changes_scores_alone():
    for seen in observed(50, level=0.0):
        truth = scene()
        assert [(s.label, s.box) for s in seen.segments] == [(s.label, s.box) for s in truth.segments]
        assert [(d.label, d.box) for d in seen.detections] == [(d.label, d.box) for d in truth.detections]
        assert [(t.text, t.box) for t in seen.text_lines] == [(t.text, t.box) for t in truth.text_lines]
        triples = {(r.subject, r.predicate, r.object) for r in seen.relations}
        assert triples == {(0, "looking at", 1), (2, "in front of", 3)}
        assert (seen.objects, seen.object_boxes) == (truth.objects, truth.object_boxes)
        assert (seen.warnings, seen.timings, seen.width, seen.height) == (["w"], {"ocr": 0.1}, 320, 240)


def test_scores_pass_the_thresholds_and_boxes_stay_boxes():
    for seen in observed(500, level=3.0):
        assert all(0.5 <= item.score <= 1 for item in seen.segments + seen.detections)
        assert all(0.8 <= item.score <= 1 for item in seen.relations)
        assert all(0.85 <= item.score <= 1 for item in seen.text_lines)
        assert [r.score for r in seen.relations] == sorted((r.score for r in seen.relations), reverse=True)
        boxes = [item.box for item in seen.segments + seen.detections] + seen.object_boxes
        for x1, y1, x2, y2 in boxes + [line.box for line in seen.text_lines if line.box]:
            assert 0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1
        assert len(seen.object_boxes) == len(seen.objects) == 4
        assert all(r.subject != r.object and max(r.subject, r.object) < 4 for r in seen.relations)


def test_rates_are_those_that_are_named():
    seen, errors = observed(), ExpertErrors()
    count = len(seen)
    assert np.mean([len(s.segments) for s in seen]) / 5 == pytest.approx(1 - errors.drop_segment, abs=0.01)
    detections = np.mean([len(s.detections) for s in seen])
    assert detections == pytest.approx(4 * (1 - errors.drop_detection) + errors.false_detection, abs=0.04)
    truth = set(scene().objects)
    confused = sum(label not in truth for s in seen for label in s.objects) / (4 * count)
    assert errors.confuse_label * 0.6 < confused < errors.confuse_label * 1.4
    texts = [[line.text for line in s.text_lines] for s in observed(errors=errors_at(1.0))]
    hard = errors_at(1.0)
    expected = 2 * (1 - hard.drop_line) + hard.false_line
    assert np.mean([len(lines) for lines in texts]) == pytest.approx(expected, abs=0.02)
    false = [lines for lines in texts if len(lines) == 3]
    assert 0.6 * hard.false_line < len(false) / count < 1.4 * hard.false_line
    misread = sum(lines[0] not in ("OPEN", "42") for lines in texts if len(lines) == 2) / count
    assert 0.5 * hard.misread_line < misread < 1.6 * hard.misread_line
    edges = np.array([s.segments[0].box for s in seen]) - BOX
    assert edges.std() == pytest.approx(errors.box_jitter, rel=0.1) and abs(edges.mean()) < 0.002
    kept = sum((r.subject, r.predicate, r.object) == (0, "looking at", 1) for s in seen for r in s.relations) / count
    assert kept == pytest.approx((1 - errors.drop_relation) * (1 - errors.wrong_relation), abs=0.03)
    order = sum([d.label for d in s.detections][:4] == scene().objects for s in seen) / count
    assert 0.55 < order < 0.9


def test_rates_can_be_refitted():
    none = ExpertErrors(**{name: 0.0 for name in ExpertErrors.__dataclass_fields__ if not name.endswith("floor")})
    (seen,) = observed(1, errors=none)
    assert seen == scene()
    lost = ExpertErrors(drop_line=1.0, false_line=0.0, drop_relation=1.0, false_relation=0.0)
    assert all(not s.text_lines and not s.relations for s in observed(20, errors=lost))


def test_reading_gets_worse_with_difficulty_and_medium_is_the_default():
    assert errors_at(LEVELS["medium"]) == ExpertErrors()
    levels = [errors_at(difficulty) for difficulty in (0.0, *LEVELS.values(), 1.0)]
    for name in ("drop_line", "misread_line", "false_line", "line_score_spread"):
        rates = [getattr(level, name) for level in levels]
        assert rates == sorted(rates) and rates[-1] > rates[0], name
    with pytest.raises(ValueError, match="difficulty"):
        errors_at(1.1)


@pytest.mark.parametrize("text", ["A", "OPEN", "TWO WORDS", "$9.75", "x"])
def test_misread_lines_stay_near_what_is_written(text):
    truth = Scene(10, 10, text_lines=[TextLine(text, 1.0, BOX)])
    errors = ExpertErrors(misread_line=1.0, drop_line=0.0, false_line=0.0)
    rng = np.random.default_rng(1)
    read = [observe(truth, rng, errors=errors).text_lines[0].text for _ in range(300)]
    assert all(one and abs(len(one) - len(text)) <= 7 for one in read)
    assert np.mean([one == text for one in read]) < 0.05
    assert " " not in text or 0.3 < np.mean([one == text.replace(" ", "") for one in read]) < 0.5


def test_the_truth_is_left_alone_and_seeds_repeat():
    truth = scene()
    before = deepcopy(truth)
    first = observe(truth, np.random.default_rng(3), level=5.0)
    assert truth == before and first == observe(truth, np.random.default_rng(3), level=5.0)


def test_empty_scene_and_masks():
    empty = observe(Scene(10, 10), np.random.default_rng(0), errors=ExpertErrors(false_detection=0.0, false_line=0.0))
    assert empty == Scene(10, 10)
    mask = np.ones((10, 10), bool)
    seen = observe(Scene(10, 10, [Segment("dog", BOX, 1.0, mask)]), np.random.default_rng(0))
    assert seen.segments[0].mask is mask
    with pytest.raises(ValueError, match="negative"):
        observe(empty, np.random.default_rng(0), level=-1)
