import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from synth.catalog import STUFF_LABELS, THING_LABELS
from synth.geometry import object_box
from synth.relations import PREDICATES, relations_of
from synth.render import render
from synth.sample import LEAST_VISIBLE, sample_layout
from synth.signs import COLOURS, FONTS, TEXT_COLOURS, plate_size, sign_box
from synth.truth import extent

WORDS = ("OPEN", "exit", "Bakery 24", "X7K2", "9.99")


def text_of(rng):
    return WORDS[int(rng.random() * len(WORDS))]


@pytest.fixture(scope="module")
def layouts():
    return [sample_layout(seed, (seed % 5) / 4, text_of) for seed in range(400)]


def test_the_same_seed_gives_the_same_layout():
    for seed in range(20):
        assert sample_layout(seed, 0.5, text_of) == sample_layout(seed, 0.5, text_of)
    assert sample_layout(1, 0.5, text_of) != sample_layout(2, 0.5, text_of)


def test_canvas_counts_sizes_and_angles_are_within_their_ranges(layouts):
    for layout in layouts:
        assert max(layout.width, layout.height) == 384
        assert 0.745 <= layout.width / layout.height <= 1.34
        assert 1 <= len(layout.objects) <= 8 and len(layout.signs) <= 3
        for item in layout.objects:
            assert item.label in THING_LABELS
            assert 0.085 * 384 <= item.size <= 0.46 * 384
            assert 0.8 <= item.brightness <= 1.2
            assert 0 <= item.box[0] < item.box[2] <= 1 and 0 <= item.box[1] < item.box[3] <= 1
            assert item.box == pytest.approx(object_box(item, layout.width, layout.height), abs=1e-5)
        for stuff in layout.stuff:
            assert stuff.label is None or stuff.label in STUFF_LABELS


def test_signs_stand_apart_with_letters_large_enough_to_read(layouts):
    seen = 0
    for layout in layouts:
        for sign in layout.signs:
            seen += 1
            assert sign.font_size >= 20.5 and 0 <= sign.font < len(FONTS)
            assert sign.text_colour in TEXT_COLOURS[sign.colour] and abs(sign.angle) <= 6
            assert sign.box == sign_box(sign, layout.width, layout.height)
            assert 0 < sign.box[0] < sign.box[2] < 1 and 0 < sign.box[1] < sign.box[3] < 1
            for other in layout.signs:
                apart = (
                    sign.box[0] > other.box[2]
                    or other.box[0] > sign.box[2]
                    or sign.box[1] > other.box[3]
                    or other.box[1] > sign.box[3]
                )
                assert other is sign or apart
    assert seen > 300
    assert 0.65 < np.mean([bool(layout.signs) for layout in layouts]) < 0.85


def test_a_long_text_still_fits():
    for seed in range(30):
        for sign in sample_layout(seed, 0.5, lambda rng: "WWWWWWWWWWWWWWWWWW").signs:
            assert sign.box[0] > 0 and sign.box[2] < 1
            assert plate_size(sign.text, sign.font, sign.font_size)[0] < 384


def test_text_contrasts_with_its_plate():
    for plate, inks in TEXT_COLOURS.items():
        for ink in inks:
            light = [float(np.dot(COLOURS[name], (0.299, 0.587, 0.114))) for name in (plate, ink)]
            assert abs(light[0] - light[1]) > 80, (plate, ink)


def test_every_object_shows_at_least_half_of_itself(layouts):
    for layout in layouts[:60]:
        drawn = render(layout)
        for index, item in enumerate(layout.objects):
            alone = render(replace(layout, objects=[item], signs=[])).instances == 0
            share = np.count_nonzero(drawn.instances == index) / np.count_nonzero(alone)
            assert share >= LEAST_VISIBLE, (layout.seed, item.label, share)


def test_layout_boxes_agree_with_what_is_painted(layouts):
    for layout in layouts[:60]:
        sides = np.array([layout.width, layout.height] * 2)
        for item in layout.objects:
            painted = extent(render(replace(layout, objects=[item], signs=[])).instances == 0)
            assert np.abs((np.array(painted) - item.box) * sides).max() < 2, (layout.seed, item.label)
        drawn = render(layout)
        for index, sign in enumerate(layout.signs):
            painted = extent(drawn.instances == -2 - index)
            assert np.abs((np.array(painted) - sign.box) * sides).max() < 2, layout.seed


def test_relations_are_those_of_the_rules_and_point_to_what_is_there(layouts):
    seen = Counter()
    for layout in layouts:
        assert layout.relations == relations_of(layout)
        assert len(layout.relations) <= 10
        pairs = [frozenset((subject, other)) for subject, _, other in layout.relations]
        assert len(set(pairs)) == len(pairs)
        for subject, predicate, other in layout.relations:
            seen[predicate] += 1
            assert 0 <= subject < len(layout.objects) and subject != other
            assert layout.label_of(other) is not None
        order = [PREDICATES.index(predicate) for _, predicate, _ in layout.relations]
        assert order == sorted(order)
    assert len(seen) >= 20, seen


def test_repeats_for_counting_and_every_class_and_stuff_come_up():
    layouts = [sample_layout(seed, 0.5, text_of) for seed in range(2000, 3200)]
    most = Counter(max(Counter(item.label for item in layout.objects).values()) for layout in layouts)
    assert all(most[number] >= 10 for number in (1, 2, 3, 4, 5)), most
    assert {item.label for layout in layouts for item in layout.objects} == set(THING_LABELS) - {"sign"}
    assert {stuff.label for layout in layouts for stuff in layout.stuff} - {None} == set(STUFF_LABELS)
    assert {sign.colour for layout in layouts for sign in layout.signs} == set(COLOURS)


def test_difficulty_raises_the_number_of_objects_and_is_checked():
    counts = [
        np.mean([len(sample_layout(seed, level, text_of).objects) for seed in range(100)]) for level in (0.0, 1.0)
    ]
    assert counts[1] > counts[0] + 0.5
    with pytest.raises(ValueError, match="difficulty"):
        sample_layout(0, 1.5)


def test_planning_and_painting_are_quick():
    layouts = [sample_layout(seed, 0.5, text_of) for seed in range(40)]
    render(layouts[0])
    start = time.perf_counter()
    for seed in range(40):
        sample_layout(seed, 0.5, text_of)
    planned = time.perf_counter()
    for layout in layouts:
        render(layout)
    painted = time.perf_counter()
    # A tenth of what one quiet core does, so that a busy machine passes.
    assert 40 / (planned - start) > 100
    assert 40 / (painted - planned) > 40
