"""Panoptic networks in the hub's format say what the library's own post-processing says."""

import numpy as np
import pytest
import torch
from PIL import Image

from perception import Perception, Scene, verbalize
from perception.backends.hf_segmentation import Segmenter, Segments
from perception.panoptic import colour_map
from tests.perception.hub import models

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (48, 72, 3), dtype=np.uint8)
OTHERS = [RNG.integers(0, 256, size, dtype=np.uint8) for size in ((48, 72, 3), (80, 50, 3))]
OPTIONS = {"threshold": 0.2, "mask_threshold": 0.2, "overlap_mask_area_threshold": 0.05}


def of_the_library(folder, picture: np.ndarray) -> list[tuple]:
    """Label, score and mask of each segment, as transformers' own documentation has it."""
    from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation, AutoProcessor

    network = AutoModelForUniversalSegmentation.from_pretrained(folder).eval()
    task = {"task_inputs": ["panoptic"]} if network.config.model_type == "oneformer" else {}
    processor = (AutoProcessor if task else AutoImageProcessor).from_pretrained(folder)
    with torch.no_grad():
        outputs = network(**processor(images=Image.fromarray(picture), return_tensors="pt", **task))
    found = processor.post_process_panoptic_segmentation(outputs, target_sizes=[picture.shape[:2]], **OPTIONS)[0]
    rows = []
    for one in found["segments_info"]:
        mask = (found["segmentation"] == one["id"]).numpy()
        if mask.any():
            rows.append((network.config.id2label[one["label_id"]], one["score"], mask))
    return rows


@pytest.fixture(scope="module", params=["mask2former", "oneformer", "eomt"])
def folder(request, tmp_path_factory):
    return getattr(models, request.param)(tmp_path_factory.mktemp(request.param))


def test_words_equal_the_librarys_results(folder):
    given = {"backend": "hf_segmentation", "weights": str(folder), "options": OPTIONS}
    scene = Perception("seg", segmentation=given, device="cpu")(PICTURE)
    assert not scene.warnings
    rows = of_the_library(folder, PICTURE)
    assert len(rows) > 1 and [one.label for one in scene.segments] == [row[0] for row in rows]
    # Experts run on a thread of their own, where torch may sum in another order.
    for segment, (_, score, mask) in zip(scene.segments, rows, strict=True):
        assert segment.score == pytest.approx(score, rel=1e-4)
        assert (segment.mask == mask).mean() > 0.998
        mask = segment.mask
        height, width = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        assert segment.box == (width[0] / 72, height[0] / 48, (width[-1] + 1) / 72, (height[-1] + 1) / 48)
    assert sum(one.mask.astype(int) for one in scene.segments).max() == 1
    # What COCO does not know is said, and has no colour.
    assert verbalize(scene) and colour_map(scene, 49).shape == (49, 49, 3)


def test_a_batch_equals_single_pictures(folder):
    pictures = [PICTURE, *OTHERS]
    expert = Segments(Segmenter(folder, device="cpu", **OPTIONS))
    expert.prepare(pictures)
    for picture in pictures:
        together, alone = Scene(1, 1), Scene(1, 1)
        expert(picture, together)
        Segments(Segmenter(folder, device="cpu", **OPTIONS))(picture, alone)
        assert [one.label for one in together.segments] == [one.label for one in alone.segments]
        for one, other in zip(together.segments, alone.segments, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-3)
            assert (one.mask != other.mask).mean() < 0.01


def test_masks_of_a_large_picture_grow_back(tmp_path, monkeypatch):
    folder = models.mask2former(tmp_path)
    monkeypatch.setattr("perception.networks.network.MAX_SIDE", 36)
    scene = Scene(72, 48)
    Segments(Segmenter(folder, device="cpu", **OPTIONS))(PICTURE, scene)
    assert scene.segments
    for segment in scene.segments:
        assert segment.mask.shape == (48, 72)
        assert (segment.mask[::2] == segment.mask[1::2]).all()
