"""The relation head: features, weights on disk, and its expert."""

import cv2
import numpy as np
import pytest
import torch

from perception import Detection, Scene, Segment
from perception.backends.relation_head import LearnedSceneGraph, strongest
from perception.expert import ExpertUnavailable
from perception.networks.relation_features import (
    FEATURES,
    GRID,
    STRIP,
    THUMB_VALUES,
    box_grid,
    mask_grid,
    pair_features,
    strip_image,
    strips,
    thumbnail,
)
from perception.networks.relation_head import RelationHead

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    head = RelationHead(["cat", "mat", "grass"], ["on", "beside"], ["grass"], ["sign"], width=16)
    with torch.no_grad():
        head.pair[-1].bias.fill_(3.0)
    head.save(tmp_path, training={"seed": 0})
    return tmp_path


def scene() -> Scene:
    made = Scene(90, 60)
    made.detections = [
        Detection("cat", (0.1, 0.1, 0.4, 0.5), 0.9), Detection("sign", (0.8, 0.0, 1.0, 0.2), 0.9),
        Detection("mat", (0.1, 0.4, 0.5, 0.6), 0.8), Detection("dog", (0.6, 0.4, 0.8, 0.9), 0.7),
        Detection("cat", (0.5, 0.1, 0.6, 0.2), 0.3),
    ]  # fmt: skip
    mask = np.zeros((60, 90), bool)
    mask[30:] = True
    made.segments = [Segment("grass", (0.0, 0.5, 1.0, 1.0), 0.9, mask), Segment("sky", (0.0, 0.0, 1.0, 0.5), 0.9)]
    return made


def test_features_have_their_shape_and_range():
    boxes = np.array([one.box for one in scene().detections])
    grids = np.stack([box_grid(box) for box in boxes])
    features = pair_features(boxes, grids, 90, 60)
    assert features.shape == (5, 5, FEATURES) and features.dtype == np.float32
    assert np.isfinite(features).all() and np.abs(features).max() <= 4
    assert pair_features(np.zeros((0, 4)), np.zeros((0, GRID, GRID), np.float32), 90, 60).shape == (0, 0, FEATURES)


def test_features_do_not_depend_on_the_scale_of_the_picture():
    boxes = np.array([one.box for one in scene().detections])
    grids = np.stack([box_grid(box) for box in boxes])
    assert np.allclose(pair_features(boxes, grids, 90, 60), pair_features(boxes, grids, 900, 600))


def test_thumbnails_and_grids():
    mask = scene().segments[0].mask
    assert mask_grid(mask)[: GRID // 2].max() == 0 and mask_grid(mask)[GRID // 2 :].min() == 1
    assert thumbnail(PICTURE, mask, (0, 0, 1, 1)).shape == (THUMB_VALUES,)
    assert thumbnail(PICTURE, None, (0.999, 0.999, 1.0, 1.0)).shape == (THUMB_VALUES,)


def test_the_head_survives_the_disk(folder):
    head = RelationHead.load(folder)
    again = RelationHead.load(folder)
    inputs = (
        head.class_ids(["cat", "unknown"]),
        torch.zeros(2, THUMB_VALUES, dtype=torch.uint8),
        torch.zeros(2, FEATURES),
        torch.tensor([[0, 1], [1, 0]]),
        torch.randint(0, 256, (1, *STRIP), dtype=torch.uint8),
        torch.tensor([0, -1]),
    )
    assert head(*inputs).shape == (2, 2)
    assert torch.equal(head(*inputs), again(*inputs))
    scores = head.scores(head(*inputs)).detach()
    assert scores.min() >= 0 and scores.max() <= 1


def test_a_strip_runs_from_one_middle_to_the_other():
    grey = np.full((200, 384), 100, np.uint8)
    # A line between the middles, at a slant, and nothing else.
    boxes = np.array([[0.1, 0.2, 0.2, 0.4], [0.5, 0.6, 0.6, 0.8], [0.9, 0.1, 1.0, 0.2]])
    ends = [tuple(((box[:2] + box[2:]) / 2 * (384, 200)).astype(int).tolist()) for box in boxes]
    cv2.line(grey, ends[0], ends[1], 200, 1)
    cut, number = strips(grey, boxes, 3)
    assert number.tolist() == [[-1, 0, -1], [0, -1, 1], [-1, 1, -1]]  # The first and the third are too far apart.
    assert cut.shape == (2, *STRIP) and abs(cut[0].argmax(axis=0) - STRIP[0] // 2).max() <= 1
    assert cut[0].max(axis=0).min() > 130 and cut[1][:, 6:].max() == 100
    assert strips(grey, boxes, 1)[0].shape == (0, *STRIP)


def test_strips_do_not_depend_on_the_size_of_the_picture():
    picture = np.repeat(np.random.default_rng(0).integers(0, 256, (96, 1, 3), np.uint8), 96, axis=1)
    small = cv2.resize(picture, (384, 384), interpolation=cv2.INTER_NEAREST)
    large = cv2.resize(picture, (768, 768), interpolation=cv2.INTER_NEAREST)
    assert (strip_image(small) == strip_image(large)).all()


def test_objects_are_detections_then_stuff_of_relations(folder):
    made = scene()
    LearnedSceneGraph(folder)(PICTURE, made)
    assert made.objects[:3] == ["cat", "mat", "dog"]
    assert made.objects[3:] == ["grass"] and len(made.object_boxes) == 4
    assert made.relations and [one.score for one in made.relations] == sorted(
        (one.score for one in made.relations), reverse=True
    )
    pairs = [frozenset((one.subject, one.object)) for one in made.relations]
    assert len(set(pairs)) == len(pairs)
    assert all(one.subject < 3 and one.predicate in ("on", "beside") for one in made.relations)


def test_nothing_is_said_of_what_the_head_does_not_know(folder):
    made = scene()
    LearnedSceneGraph(folder)(PICTURE, made)
    dog = made.objects.index("dog")
    assert all(dog not in (one.subject, one.object) for one in made.relations)
    strangers = Scene(90, 60, detections=[Detection(name, (0.1, 0.1, 0.5, 0.5), 0.9) for name in ("gnu", "yak")])
    LearnedSceneGraph(folder)(PICTURE, strangers)
    assert strangers.objects == ["gnu", "yak"] and strangers.relations == []


def test_labels_of_other_detectors_are_understood(folder):
    ours, theirs = scene(), scene()
    for one, name in zip(theirs.detections, ("Cat", "Sign", "mat ", "dog", "cat"), strict=True):
        one.label = name
    theirs.segments[0].label = "grass-merged"
    for one in (ours, theirs):
        LearnedSceneGraph(folder)(PICTURE, one)
    assert theirs.relations == ours.relations and theirs.objects == ["Cat", "mat ", "dog", "grass-merged"]


def test_a_detection_has_the_mask_of_the_segment_that_is_it(folder):
    mask = np.zeros((60, 90), bool)
    mask[6:30, 10:36] = True
    near, far = (0.11, 0.1, 0.4, 0.5), (0.11, 0.5, 0.4, 0.9)
    expert = LearnedSceneGraph(folder)
    cat = scene().detections[:1]
    for box, same in ((near, True), (far, False)):
        made = Scene(90, 60, segments=[Segment("cat", box, 0.9, mask)])
        assert (expert._masks(PICTURE, made, cat)[0] is mask) is same


def test_nothing_to_relate(folder):
    for detections in ([], scene().detections[:1]):
        made = Scene(90, 60, detections=detections)
        LearnedSceneGraph(folder)(PICTURE, made)
        assert made.relations == [] and len(made.objects) == len(detections)


def test_no_head(tmp_path):
    with pytest.raises(ExpertUnavailable, match="no relation head"):
        LearnedSceneGraph(tmp_path)(PICTURE, scene())


def test_strongest_keeps_one_relation_for_two_objects():
    pairs = np.array([[0, 1], [1, 0], [0, 2]])
    told = strongest(pairs, [0, 1, 1], [0.6, 0.9, 0.1], ["on", "beside"])
    assert [(one.subject, one.predicate, one.object) for one in told] == [(1, "beside", 0)]
