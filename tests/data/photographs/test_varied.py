"""Photographs varied for training: boxes and what experts saw go along with the pixels."""

import numpy as np
import pytest
from PIL import Image

from moai.data.photographs.photograph import LabelledBox, Photograph
from moai.data.photographs.varied import dimmed, patch_classes, varied
from perception.scene import Detection, Relation, Scene, TextLine

BOX = (0.25, 0.5, 0.5, 0.75)


def photograph(**fields) -> Photograph:
    return Photograph("a.jpg", "", 80, 40, (LabelledBox("cat", BOX),), exhaustive=True, **fields)


def marked() -> np.ndarray:
    """A picture that is white where the box is."""
    pixels = np.zeros((400, 800, 3), np.uint8)
    pixels[200:300, 200:400] = 255
    return pixels


def scene(**fields) -> Scene:
    relations = [Relation(0, "to the left of", 1, 0.9)]
    objects, boxes = ["cat", "dog"], [BOX, (0.6, 0.5, 0.9, 0.75)]
    return Scene(
        80,
        40,
        detections=[Detection("cat", BOX, 0.9)],
        objects=objects,
        object_boxes=boxes,
        relations=relations,
        **fields,
    )


def test_boxes_of_people_and_experts_move_with_the_pixels():
    moved = 0
    for seed in range(40):
        given, saw = photograph(), scene()
        new, pixels, seen = varied(given, marked(), saw, np.random.default_rng(seed))
        box = new.boxes[0].box
        assert seen.detections[0].box == pytest.approx(box) and seen.object_boxes[0] == pytest.approx(box)
        high, wide = pixels.shape[:2]
        mask = np.zeros((high, wide), bool)
        x1, y1, x2, y2 = (round(edge * side) for edge, side in zip(box, (wide, high) * 2, strict=True))
        mask[y1:y2, x1:x2] = True
        bright = pixels[..., 0] > 128
        assert (mask & bright).sum() / (mask | bright).sum() > 0.9
        mirrored = bool(seen.relations) and seen.relations[0].predicate == "to the right of"
        if len(seen.objects) == 2:
            assert (seen.object_boxes[0][0] > seen.object_boxes[1][0]) == mirrored
        moved += mirrored
        assert (
            given.boxes[0].box == BOX
            and saw.detections[0].box == BOX
            and saw.relations[0].predicate.endswith("left of")
        )
    assert 10 < moved < 30


def test_what_words_were_said_of_stays_whole():
    text = scene(text_lines=[TextLine("EXIT", 1.0)])
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert varied(photograph(), marked(), text, rng)[0].boxes[0].box == BOX
        told, pixels, _ = varied(photograph(captions=("A cat on the left.",)), marked(), None, rng)
        if pixels.shape == (400, 800, 3):
            assert told.boxes[0].box == BOX and told.captions
        else:
            assert not told.captions


def test_things_that_are_cut_off_are_gone():
    given = Photograph("a.jpg", "", 80, 40, (LabelledBox("cat", (0.98, 0.0, 1.0, 1.0)),), exhaustive=True)
    kept = {len(varied(given, marked(), None, np.random.default_rng(seed))[0].boxes) for seed in range(60)}
    assert kept == {0, 1}


def test_patches_are_labelled_after_boxes_smaller_ones_on_top():
    boxes = (LabelledBox("cat", (0.25, 0.25, 0.5, 0.5)), LabelledBox("sofa", (0.0, 0.0, 0.5, 1.0)))
    given = Photograph("a.jpg", "", 10, 10, boxes, exhaustive=True)
    classes = patch_classes(given, ("cat", "sofa"), side=4)
    expected = np.full((4, 4), -100)
    expected[:, :2] = 1
    expected[1, 1] = 0
    assert np.array_equal(classes, expected)
    assert patch_classes(Photograph("a.jpg", "", 10, 10, boxes), ("cat", "sofa")) is None


def test_the_source_varies_what_is_trained_on_alone(tmp_path):
    import json

    from transformers import AutoProcessor

    from moai.data.photographs.source import Photographs
    from moai.data.registry import rows_for

    Image.fromarray(marked()).save(tmp_path / "a.png")
    Image.fromarray(marked()).save(tmp_path / "b.png")
    boxes = [{"label": "cat", "box": [200, 200, 400, 300]}]
    record = {"width": 800, "height": 400, "boxes_exhaustive": True, "boxes": boxes}
    pictures = [record | {"file": name} for name in ("a.png", "b.png")]
    (tmp_path / "annotations.json").write_text(json.dumps({"pictures": pictures}))
    rows = rows_for(AutoProcessor.from_pretrained("weights/moai-nano"), experts=())
    shapes = {}
    for vary in (False, True):
        source = Photographs(rows, 0, tmp_path, vary=vary)
        assert source.class_names == ("cat",)
        examples = [one for position in range(20) for one in source.examples(position)]
        shapes[vary] = {np.asarray(one.image).shape for one in examples}
        # A cut may leave the cat out.
        assert {0} < {*np.concatenate([np.unique(one.meta.patch_classes) for one in examples])} == {-100, 0}
    assert shapes[False] == {(400, 800, 3)} and len(shapes[True]) > 3


def test_a_coarse_picture_keeps_its_size_and_its_colour_and_loses_its_edges():
    for seed in range(20):
        pixels = marked()
        coarse = dimmed(pixels, np.random.default_rng(seed))
        assert coarse.shape == pixels.shape and abs(coarse.mean() - pixels.mean()) < 8
        assert (
            np.abs(np.diff(coarse.astype(int), axis=1)).max() < 40 < np.abs(np.diff(pixels.astype(int), axis=1)).max()
        )


def test_the_source_asks_coarse_pictures_for_boxes_alone(tmp_path):
    import json

    from transformers import AutoProcessor

    from moai.data.photographs.source import Photographs
    from moai.data.registry import rows_for

    noise = np.random.default_rng(0).integers(0, 256, (400, 800, 3), np.uint8)
    boxes = [{"label": "cat", "box": [200, 200, 400, 300]}, {"label": "dog", "box": [500, 200, 700, 300]}]
    record = {"width": 800, "height": 400, "boxes_exhaustive": True, "boxes": boxes, "captions": ["A cat on a rug."]}
    for name in ("a.png", "b.png"):
        Image.fromarray(noise).save(tmp_path / name)
    pictures = [record | {"file": name} for name in ("a.png", "b.png")]
    (tmp_path / "annotations.json").write_text(json.dumps({"pictures": pictures}))
    (tmp_path / "scenes").mkdir()
    rows = rows_for(AutoProcessor.from_pretrained("weights/moai-nano"))
    source = Photographs(rows, 0, tmp_path, vary=True)
    source.look = lambda pixels: scene()
    coarse = 0
    for position in range(60):
        for example in source.examples(position):
            sharp = np.abs(np.diff(example.image.astype(int), axis=1)).mean()
            answers = [answer for _, answer in example.turns]
            if sharp < 5:
                coarse += 1
                assert example.meta.patch_classes is None and "A cat on a rug." not in answers
            else:
                assert example.meta.patch_classes is not None
    assert 4 < coarse < 25
