import json
import re
from pathlib import Path

import numpy as np
import pytest

from moai.data.drawn.catalog import COCO_THINGS, SPRITE_SOURCES, STUFF_LABELS, THING_LABELS, natural_scale
from moai.data.drawn.render import atlas
from moai.data.nouns import plural
from perception.labels import COCO_PANOPTIC_CLASSES, PSG_PREDICATES

FOLDER = Path(atlas.__file__).with_suffix("")


def test_label_spaces_have_their_known_sizes_and_ends():
    assert len(COCO_PANOPTIC_CLASSES) == len(set(COCO_PANOPTIC_CLASSES)) == 133
    assert len(PSG_PREDICATES) == len(set(PSG_PREDICATES)) == 56
    assert COCO_PANOPTIC_CLASSES[0] == "person" and COCO_PANOPTIC_CLASSES[79] == "toothbrush"
    assert PSG_PREDICATES[0] == "over" and PSG_PREDICATES[-1] == "leaning on"


def test_there_are_at_least_ninety_classes_and_most_of_coco():
    assert len(THING_LABELS) == len(set(THING_LABELS)) >= 90
    assert len(COCO_THINGS) >= 65
    assert set(COCO_THINGS) < set(THING_LABELS)
    assert all(label == label.lower() for label in THING_LABELS)
    assert not set(THING_LABELS) & set(STUFF_LABELS)


def test_stuff_labels_are_coco_panoptic_names_less_their_suffixes():
    known = {re.sub("-(merged|other|stuff)", "", name) for name in COCO_PANOPTIC_CLASSES[80:]}
    assert set(STUFF_LABELS) <= known


@pytest.mark.parametrize(
    ("label", "several"),
    [
        ("cat", "cats"), ("person", "people"), ("bus", "buses"), ("wine glass", "wine glasses"), ("couch", "couches"),
        ("strawberry", "strawberries"), ("toothbrush", "toothbrushes"), ("key", "keys"), ("sheep", "sheep"),
        ("scissors", "scissors"), ("knife", "knives"), ("sign", "signs"), ("book", "books"),
    ],
)  # fmt: skip
def test_plural(label, several):
    assert plural(label) == several


def test_no_two_classes_share_a_plural():
    assert len({plural(label) for label in THING_LABELS}) == len(THING_LABELS)


def test_every_sprite_of_the_catalog_is_in_the_atlas_and_recognisably_full():
    sprites = atlas.load_atlas()
    assert [sprite.index for sprite in sprites] == list(range(len(sprites)))
    assert sum(len(sources) for sources in SPRITE_SOURCES.values()) == len(sprites)
    for label, sources in SPRITE_SOURCES.items():
        assert [sprite.pose for sprite in atlas.sprites_of(label)] == [tag.rstrip("<") for _, tag in sources]
    for sprite in sprites:
        pixels = sprite.levels[0]
        assert pixels.shape == (128, 128, 4) and pixels.dtype == np.uint8
        assert (pixels[..., :3] <= pixels[..., 3:]).all(), "alpha is premultiplied"
        assert np.count_nonzero(pixels[..., 3] >= 128) > 700, sprite.label
        assert np.ptp(sprite.hull, axis=0).max() == pytest.approx(1, abs=0.07), sprite.label
        assert [level.shape[0] for level in sprite.levels] == [128, 64, 32, 16]


def test_the_atlas_is_small_and_carries_its_licence():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 4_000_000
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FOLDER / "OFL.txt").read_text()
    fonts = FOLDER.parent / "fonts"
    told = (fonts / "README.md").read_text()
    assert sum(path.stat().st_size for path in fonts.iterdir()) < 500_000
    for path in fonts.iterdir():
        assert path.suffix in (".txt", ".md") or path.name in told or path.name.startswith("DejaVu"), path.name
        assert path.suffix != ".txt" or path.name in told


def test_the_index_names_every_class_once():
    index = json.loads((FOLDER / "sprites.json").read_text(encoding="utf-8"))
    assert tuple(index) == THING_LABELS[:-1]


def test_natural_scale_is_mild():
    assert {natural_scale(label) for label in THING_LABELS} == {0.8, 1.0, 1.2}
