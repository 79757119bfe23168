from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import yaml

from moai.data.drawn.catalog import COCO_THINGS, STUFF_LABELS
from moai.data.drawn.export import CLASSES, joined, label_lines, outline, write_yolo_dataset
from moai.data.drawn.ground_truth import extent, reading_order, to_scene
from moai.data.drawn.layout import Conditions, Layout, PlacedObject, Sign, Stuff
from moai.data.drawn.render import backgrounds
from moai.data.drawn.render.conditions import sample_conditions
from moai.data.drawn.render.render import render
from moai.data.drawn.render.signs import sign_box
from moai.data.drawn.scene.sample import sample_layout

SEEDS = range(40)


def text_of(rng):
    return "OPEN 24"


def test_painting_is_repeatable_and_typed():
    layout = sample_layout(3, 0.5, text_of)
    first, second = render(layout), render(layout)
    assert first.image.shape == (layout.height, layout.width, 3) and first.image.dtype == np.uint8
    assert first.instances.shape == first.stuff.shape == (layout.height, layout.width)
    assert first.instances.dtype == np.int16 and first.stuff.dtype == np.uint8
    assert (first.image == second.image).all() and (first.instances == second.instances).all()


@pytest.mark.parametrize("scale", [0.3, 0.6, 1.5])
def test_scales_show_the_same_scene(scale):
    for seed in range(6):
        layout = sample_layout(seed, 0.5, text_of)
        layout.conditions = replace(layout.conditions, grain=0.0)
        full, scaled = render(layout), render(layout, scale)
        height, width = scaled.instances.shape
        assert (height, width) == (round(layout.height * scale), round(layout.width * scale))
        shrunk = cv2.resize(full.instances, (width, height), interpolation=cv2.INTER_NEAREST)
        assert np.mean(shrunk == scaled.instances) > 0.95
        same = cv2.resize(full.image, (width, height), interpolation=cv2.INTER_AREA)
        assert np.abs(same.astype(int) - scaled.image).mean() < 10


def test_a_scale_out_of_range_is_refused():
    with pytest.raises(ValueError, match="scale"):
        render(sample_layout(0, 0.5, text_of), 0)


def test_a_thing_that_leaves_the_canvas_is_cut_off():
    layout = Layout(0, 100, 80, sample_layout(0, 0.5, text_of).stuff)
    layout.objects = [
        PlacedObject("car", 30, (0.0, 40.0), 60.0, 20.0, 1.1, True, (0, 0.2, 0.3, 0.8)),
        PlacedObject("car", 30, (-500.0, 40.0), 60.0, 0.0, 1.0, False, (0, 0, 0, 0)),
    ]
    layout.signs = [Sign("OPEN", "red", "white", 0, (95.0, 78.0), 20.0, 5.0, (0, 0, 1, 1))]
    drawn = render(layout)
    assert set(np.unique(drawn.instances)) == {-2, -1, 0}
    scene = to_scene(layout, drawn)
    assert [detection.label for detection in scene.detections] == ["car", "sign"]
    assert scene.objects == ["car", "car"] and len(scene.object_boxes) == 2


def plain_layout(**options):
    """A red sign on grey, nothing else."""
    everything = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    layout = Layout(1, 300, 200, [Stuff(None, everything, (130, 130, 130), 0)])
    layout.signs = [Sign("OPEN", "red", "white", 0, (150.0, 100.0), 30.0, 0.0, (0, 0, 1, 1), **options)]
    return layout


HARDEST = {
    "night": 0.9, "gain": 1.2, "lift": 12.0, "cast": (1.1, 1.0, 0.9), "blur": 1.5, "resolution": 0.5, "grain": 15.0,
    "jpeg": 20,
}  # fmt: skip


@pytest.mark.parametrize("name", HARDEST)
def test_each_condition_changes_the_picture_and_nothing_else(name):
    layout = sample_layout(8, 0.0, text_of)
    worse = replace(layout, conditions=Conditions(**{name: HARDEST[name]}))
    plain, changed = render(layout), render(worse)
    assert (plain.instances == changed.instances).all() and (plain.stuff == changed.stuff).all()
    difference = np.abs(plain.image.astype(int) - changed.image)
    assert 1 < difference.mean() < 130
    assert (changed.image == render(worse).image).all()


def test_all_conditions_are_tried():
    assert set(HARDEST) == {field.name for field in fields(Conditions)}


def test_conditions_are_seeded_mean_nothing_at_zero_and_grow():
    assert all(sample_conditions(seed, 0.0, 20.0) == Conditions() for seed in range(50))
    assert sample_conditions(3, 0.7, 20.0) == sample_conditions(3, 0.7, 20.0) != sample_conditions(4, 0.7, 20.0)
    worse = [[sample_conditions(seed, level, 20.0) for seed in range(300)] for level in (0.2, 0.5, 0.9)]
    for name, best in (("night", 0), ("blur", 0), ("grain", 0), ("jpeg", 0)):
        often = [np.mean([getattr(one, name) != best for one in level]) for level in worse]
        assert often == sorted(often) and often[-1] > often[0] + 0.1
    assert min(one.jpeg for one in worse[-1] if one.jpeg) >= 15
    assert all(0.75 < one.gain < 1.2 and 0.4 < one.resolution <= 1 for level in worse for one in level)


def test_noise_covers_pictures_larger_than_its_own_sheet():
    layout = plain_layout()
    layout.conditions = Conditions(grain=10.0)
    assert render(layout, 4).image.std() > render(plain_layout(), 4).image.std()


def test_signs_stay_lit_at_night():
    day = plain_layout()
    night = replace(day, conditions=Conditions(night=1.0))
    before, after = render(day), render(night)
    sign = before.instances == -2
    assert (before.image[sign] == after.image[sign]).mean() > 0.99
    assert after.image[~sign].mean() < 0.5 * before.image[~sign].mean()


def test_pale_letters_are_nearer_to_their_plate():
    reds = [render(plain_layout(contrast=contrast)).image[..., 1].max() for contrast in (1.0, 0.7, 0.4)]
    assert reds == sorted(reds, reverse=True) and reds[0] > 240 and 100 < reds[2] < 160


@pytest.mark.parametrize("angle", [0.0, 9.0])
@pytest.mark.parametrize("tilt", [(0.2, 0.0), (-0.15, 0.1), (0.0, -0.1)])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_boxes_follow_signs_that_lean(angle, tilt, scale):
    layout = plain_layout(tilt=tilt)
    sign = layout.signs[0]
    sign.angle, sign.box = angle, (0, 0, 0, 0)
    sign.box = sign_box(sign, layout.width, layout.height)
    drawn = render(layout, scale)
    mask = drawn.instances == -2
    off = np.abs((np.array(extent(mask)) - sign.box) * ([layout.width, layout.height] * 2)).max()
    assert off < max(2, 1.5 / scale)
    rows = mask.sum(axis=1 if tilt[1] else 0)
    rows = rows[rows > 0]
    upright = angle == 0 and (tilt[0] == 0) != (tilt[1] == 0)
    if upright:  # the side that leans away is the smaller one
        away = tilt[0] or tilt[1]
        assert (rows[2] > rows[-3]) == (away > 0)
    (line,) = to_scene(layout, drawn).text_lines
    letters = np.zeros(mask.shape, bool)
    white = (drawn.image.min(axis=2) > 200) & mask
    x1, y1, x2, y2 = np.array(line.box) * ([mask.shape[1], mask.shape[0]] * 2)
    letters[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1] = True
    # White is the letters and the thin line around the plate.
    assert np.count_nonzero(white & letters) > 0.55 * np.count_nonzero(white)


def test_masks_and_boxes_agree():
    for seed in SEEDS:
        layout = sample_layout(seed, 0.5, text_of)
        drawn = render(layout)
        scene = to_scene(layout, drawn)
        covered = np.zeros(drawn.instances.shape, int)
        for segment in scene.segments:
            assert segment.box == extent(segment.mask) and segment.mask.dtype == bool
            assert segment.label in (*COCO_THINGS, *STUFF_LABELS)
            covered += segment.mask
        assert covered.max() <= 1, "panoptic segments do not overlap"
        things = [segment for segment in scene.segments if segment.label in COCO_THINGS]
        assert scene.segments[: len(things)] == things, "things come first"
        assert len(scene.detections) == len(layout.objects) + len(layout.signs)


def test_the_scene_without_a_picture_names_the_same_things():
    for seed in SEEDS:
        layout = sample_layout(seed, 0.5, text_of)
        plain, painted = to_scene(layout), to_scene(layout, render(layout))
        assert [d.label for d in plain.detections] == [d.label for d in painted.detections]
        assert plain.text_lines == painted.text_lines
        assert all(segment.mask is None for segment in plain.segments)
        for index, item in enumerate(layout.objects):
            assert plain.object_boxes[index] == item.box
            seen = painted.object_boxes[index]
            slack = 2 / min(layout.width, layout.height)
            assert seen[0] >= item.box[0] - slack and seen[3] <= item.box[3] + slack


def test_relations_keep_their_meaning_in_the_scene():
    told = 0
    for seed in SEEDS:
        layout = sample_layout(seed, 0.5, text_of)
        scene = to_scene(layout)
        assert scene.objects[: len(layout.objects)] == [item.label for item in layout.objects]
        assert len(scene.objects) == len(scene.object_boxes)
        expected = [(layout.label_of(s), p, layout.label_of(o)) for s, p, o in layout.relations]
        found = [(scene.objects[r.subject], r.predicate, scene.objects[r.object]) for r in scene.relations]
        assert found == expected and all(relation.score == 1 for relation in scene.relations)
        told += len(found)
    assert told > 60


def test_lines_are_read_row_by_row():
    boxes = [(0.6, 0.11, 0.9, 0.21), (0.1, 0.5, 0.3, 0.6), (0.1, 0.1, 0.4, 0.2)]
    assert reading_order(boxes) == [2, 0, 1]
    assert reading_order([]) == []


def test_line_boxes_lie_within_their_plates():
    for seed in SEEDS:
        layout = sample_layout(seed, 0.5, text_of)
        for line in to_scene(layout).text_lines:
            inside = [
                all(a <= b + 1e-6 for a, b in zip(sign.box[:2], line.box[:2], strict=True))
                and all(a >= b - 1e-6 for a, b in zip(sign.box[2:], line.box[2:], strict=True))
                for sign in layout.signs
            ]
            assert any(inside)


def test_an_empty_mask_has_no_extent_and_no_outline():
    empty = np.zeros((5, 7), bool)
    assert extent(empty) is None and outline(empty) is None


def test_outlines_follow_the_edges_of_pixels():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:50] = True
    polygon = outline(mask)
    assert polygon.min(axis=0).tolist() == [20, 10] and polygon.max(axis=0).tolist() == [50, 30]


def test_parts_are_tied_into_one_polygon():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]])
    whole = joined([square, square + np.array([20, 0])])
    assert len(whole) == 10
    painted = cv2.fillPoly(np.zeros((20, 40), np.uint8), [whole.astype(np.int32)], 1)
    assert painted[5, 5] == painted[5, 25] == 1 and painted[5, 15] == 0


def test_polygons_cover_the_visible_masks():
    ious = []
    for seed in range(15):
        layout = sample_layout(seed, 0.5, text_of)
        drawn = render(layout)
        lines = label_lines(layout, drawn)
        height, width = drawn.instances.shape
        assert len(lines) >= len(layout.objects) + len(layout.signs)
        for index, item in enumerate(layout.objects):
            number, *rest = lines[index].split()
            assert CLASSES[int(number)] == item.label
            points = np.array(rest, float).reshape(-1, 2) * (width, height)
            mask = drawn.instances == index
            box = np.array([*points.min(axis=0), *points.max(axis=0)]) / ([width, height] * 2)
            assert np.abs(box - extent(mask)).max() < 0.03
            filled = cv2.fillPoly(np.zeros((height, width), np.uint8), [np.rint(points - 0.5).astype(np.int32)], 1) > 0
            # Holes are filled (the wheels of a bicycle), and specks are left out.
            lost = np.count_nonzero(mask & ~filled)
            assert lost < max(0.07 * np.count_nonzero(mask), 50), (seed, item.label)
            ious.append(np.count_nonzero(filled & mask) / np.count_nonzero(filled | mask))
    assert np.median(ious) > 0.88


def test_a_yolo_folder(tmp_path):
    config = write_yolo_dataset(tmp_path, 3, first_seed=50, workers=1)
    write_yolo_dataset(tmp_path, 2, first_seed=53, workers=2, split="val")
    write_yolo_dataset(tmp_path, 1, first_seed=50, workers=1)
    told = yaml.safe_load(config.read_text())
    assert told["val"] == "images/val" and told["names"][0] == "person" and len(told["names"]) == len(CLASSES)
    assert sorted(path.stem for path in (tmp_path / "images/train").iterdir()) == [
        "000000050",
        "000000051",
        "000000052",
    ]
    for path in (tmp_path / "labels/val").iterdir():
        picture = cv2.imread(str(tmp_path / "images/val" / f"{path.stem}.jpg"))
        assert max(picture.shape) == 384
        for line in path.read_text().splitlines():
            number, *rest = line.split()
            assert 0 <= int(number) < len(CLASSES) and len(rest) >= 6 and len(rest) % 2 == 0
            assert all(0 <= float(value) <= 1 for value in rest)


@pytest.mark.parametrize("texture", ["grass", "road", "sand", "snow", "tiles", "planks", "bricks"])
def test_a_thumbnail_hardly_shows_what_the_ground_is_made_of(texture):
    tile = backgrounds._tiles()[texture]
    assert tile.shape == (backgrounds.TILE, backgrounds.TILE)
    thumbnail = cv2.resize(tile, (backgrounds.TILE // 8,) * 2, interpolation=cv2.INTER_AREA)
    # Neither its mean nor what is wider than a few pixels tells one from another; close up each has a grain.
    assert abs(tile.mean() - 127.5) < 2 and thumbnail.std() < 11 < tile.std()
