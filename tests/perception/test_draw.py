"""Annotated pictures."""

import numpy as np
import pytest
from PIL import Image

from perception import Detection, Relation, Scene, Segment, TextLine
from perception.draw import draw
from perception.kinds.canvas import Canvas, colour_of
from perception.registry import layers

PICTURE = np.full((60, 90, 3), 200, np.uint8)


def scene() -> Scene:
    mask = np.zeros((60, 90), bool)
    mask[30:] = True
    return Scene(
        90, 60,
        segments=[Segment("grass", (0, 0.5, 1, 1), 0.9, mask), Segment("wall-other-merged", (0, 0, 1, 0.5), 0.9)],
        detections=[Detection("cat", (0.1, 0.2, 0.4, 0.6), 0.9), Detection("dog", (0.0, 0.9, 1.0, 1.0), 0.8)],
        objects=["cat", "dog"], object_boxes=[(0.1, 0.2, 0.4, 0.6), (0.0, 0.9, 1.0, 1.0)],
        relations=[Relation(0, "over", 1, 0.9), Relation(1, "beside", 0, 0.2)],
        text_lines=[TextLine("Größe 停", 0.95, (0.6, 0.1, 0.9, 0.2)), TextLine("no box", 0.9)],
    )  # fmt: skip


@pytest.mark.parametrize("layer", layers())
def test_each_layer_changes_the_picture(layer):
    plain, one = np.asarray(draw(PICTURE, scene(), ())), np.asarray(draw(PICTURE, scene(), (layer,)))
    assert plain.shape == one.shape == (533, 800, 3)
    assert (plain == 200).all()
    assert (plain != one).any()


def test_masks_are_translucent():
    drawn = np.asarray(draw(PICTURE, scene(), ("segments",)))
    tint = 200 * 0.62 + np.array(colour_of("grass")) * 0.38
    assert np.abs(drawn[500, 10] - tint).max() < 3


def test_odd_scenes():
    assert draw(PICTURE, Scene(90, 60)).size == (800, 533)
    assert draw(np.zeros((1000, 1200, 3), np.uint8), scene()).size == (1200, 1000)
    flat = Scene(90, 60, detections=[Detection("cat", (0.5, 0.5, 0.5, 0.5), 1.0)] * 30)
    draw(PICTURE, flat)
    unplaced = scene()
    unplaced.object_boxes = []
    draw(PICTURE, unplaced)


def test_half_a_surrogate_pair_is_drawn():
    box = (0.1, 0.2, 0.4, 0.6)
    odd = Scene(90, 60, detections=[Detection("\ud83d", box, 0.9)], text_lines=[TextLine("\ud83d", 0.9, box)])
    assert draw(PICTURE, odd).size == (800, 533)


def test_many_boxes_and_endless_labels():
    boxes = [(x / 20, y / 20, x / 20 + 0.1, y / 20 + 0.1) for x in range(18) for y in range(18)]
    odd = Scene(90, 60, detections=[Detection("x" * 2_000_000, box, 0.9) for box in boxes])
    assert draw(PICTURE, odd).size == (800, 533)


def test_labels_stand_beside_each_other():
    canvas = Canvas(Image.new("RGB", (800, 600)))
    places = [(column * 150.0, row * canvas.tag_height()) for column in range(8) for row in range(10)]
    for _ in places:
        canvas.label("label", (0, 0, 0), places)
    taken = canvas._taken[: canvas._labels, :2]
    assert sorted(map(tuple, taken.tolist())) == sorted(places)


def test_unknown_layer():
    with pytest.raises(ValueError, match="segments, detections"):
        draw(PICTURE, scene(), ("boxes",))


@pytest.mark.parametrize("ground", [0, 255])
def test_frames_are_seen_on_dark_and_light_pictures(ground):
    picture = np.full((400, 800, 3), ground, np.uint8)
    drawn = np.asarray(draw(picture, Scene(800, 400, detections=[Detection("book", (0.2, 0.4, 0.6, 0.9), 0.9)])))
    side = drawn[280, 150:170].astype(int)  # across the left side of the box, far from its label
    assert np.abs(side - ground).max(1).max() > 100
    assert np.ptp(side.mean(1)) > 100
