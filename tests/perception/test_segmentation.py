"""From what a network found to disjoint panoptic segments."""

import numpy as np
import pytest

from perception.backends.yolo import panoptic
from perception.boxes import extent
from perception.networks.yolo import Found


def block(y1, x1, y2, x2) -> np.ndarray:
    mask = np.zeros((40, 40), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def found(*parts) -> Found:
    labels, scores, masks = zip(*parts, strict=True)
    return Found(list(labels), np.array(scores), np.zeros((len(parts), 4)), np.stack(masks))


STUFF = frozenset({"grass", "sky"})


def test_masks_are_disjoint_and_the_surer_thing_wins():
    segments = panoptic(
        found(
            ("grass", 0.95, block(0, 0, 40, 40)),
            ("person", 0.9, block(0, 0, 20, 20)),
            ("dog", 0.8, block(0, 10, 20, 30)),
        ),
        STUFF,
    )
    assert [one.label for one in segments] == ["person", "dog", "grass"]
    assert sum(one.mask.astype(int) for one in segments).max() == 1
    assert segments[1].box == (0.5, 0.0, 0.75, 0.5)
    assert segments[2].mask.sum() == 40 * 40 - 20 * 30


def test_only_coco_is_said_but_all_things_cover_stuff():
    segments = panoptic(found(("mushroom", 0.9, block(10, 10, 20, 20)), ("grass", 0.9, block(0, 0, 40, 40))), STUFF)
    assert [one.label for one in segments] == ["grass"]
    assert not segments[0].mask[15, 15]


def test_pieces_of_one_stuff_are_one_segment():
    segments = panoptic(found(("sky", 0.9, block(0, 0, 10, 10)), ("sky", 0.6, block(0, 20, 10, 40))), STUFF)
    assert len(segments) == 1 and segments[0].score == pytest.approx(0.9)
    assert segments[0].box == (0.0, 0.0, 1.0, 0.25)


def test_hidden_and_tiny_segments_are_dropped():
    hidden = found(
        ("person", 0.9, block(0, 0, 20, 20)), ("dog", 0.5, block(0, 0, 20, 24)), ("cat", 0.9, block(0, 0, 2, 2))
    )
    assert [one.label for one in panoptic(hidden, STUFF)] == ["person"]


def test_nothing_found():
    assert panoptic(Found([], np.zeros(0), np.zeros((0, 4)), np.zeros((0, 9, 9), bool)), STUFF) == []
    assert extent(np.zeros((4, 4), bool)) is None
