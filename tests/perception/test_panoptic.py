"""The colour map."""

import numpy as np
import pytest

from perception import Scene, Segment
from perception.labels import COCO_PANOPTIC_CLASSES
from perception.panoptic import colour_map, panoptic_ids, voc_palette


def test_palette_begins_as_pascal_voc_has_it():
    first = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]
    assert [tuple(colour) for colour in voc_palette()[:7].tolist()] == first
    assert len({tuple(colour) for colour in voc_palette().tolist()}) == 256


def test_surer_segments_win_and_boxes_stand_in_for_masks():
    mask = np.zeros((20, 40), bool)
    mask[:, :20] = True
    scene = Scene(40, 20)
    scene.segments = [
        Segment("person", (0, 0, 0.5, 1), 0.9, mask),
        Segment("grass", (0.25, 0, 1, 1), 0.8),
        Segment("car", (0, 0, 1, 1), 0.4),
        Segment("unheard of", (0, 0, 1, 1), 0.95),
    ]
    ids = panoptic_ids(scene, 64)
    assert ids.shape == (64, 64)
    assert set(np.unique(ids[:, :32])) == {1}
    assert set(np.unique(ids[:, 32:])) == {COCO_PANOPTIC_CLASSES.index("grass-merged") + 1}
    assert colour_map(scene, 64).shape == (64, 64, 3)
    assert tuple(colour_map(scene, 64)[5, 5]) == (128, 0, 0)


@pytest.mark.parametrize("size", [1, 33])
def test_an_empty_scene_is_black(size):
    assert colour_map(Scene(5, 5), size).max() == 0
