import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS, look_alikes
from moai.data.drawn.facts import confusable
from moai.data.drawn.ground_truth import extent
from moai.data.drawn.layout import Conditions
from moai.data.drawn.levels import LEVELS, MEDIUM
from moai.data.drawn.render.render import render
from moai.data.drawn.render.signs import COLOURS, FONTS, PLAIN_FONTS, TEXT_COLOURS, plate_size, sign_box
from moai.data.drawn.scene.relations import PREDICATES, relations_of
from moai.data.drawn.scene.sample import MIN_VISIBLE, sample_layout
from moai.data.drawn.scene.sign_placement import MIN_LETTERS
from tests.data.drawn.scenes import object_box

WORDS = ("OPEN", "exit", "Bakery 24", "X7K2", "9.99")


def text_of(rng):
    return WORDS[int(rng.random() * len(WORDS))]


def difficulty_of(seed):
    return (seed % 5) / 4


@pytest.fixture(scope="module")
def layouts():
    return [sample_layout(seed, difficulty_of(seed), text_of) for seed in range(400)]


def at(difficulty, seeds=range(150)):
    return [sample_layout(seed, difficulty, text_of) for seed in seeds]


def test_the_same_seed_gives_the_same_layout():
    for seed in range(20):
        assert sample_layout(seed, 0.5, text_of) == sample_layout(seed, 0.5, text_of)
    assert sample_layout(1, 0.5, text_of) != sample_layout(2, 0.5, text_of)


def test_canvas_counts_sizes_and_angles_are_within_their_ranges(layouts):
    for layout in layouts:
        assert max(layout.width, layout.height) == 384
        assert 0.745 <= layout.width / layout.height <= 1.34
        assert 1 <= len(layout.objects) <= 5 + 7 * difficulty_of(layout.seed) and len(layout.signs) <= 5
        for item in layout.objects:
            assert item.label in THING_LABELS
            assert (0.098 - 0.035 * difficulty_of(layout.seed)) * 384 - 1 <= item.size <= 0.46 * 384
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
            difficulty = difficulty_of(layout.seed)
            assert sign.font_size >= MIN_LETTERS[0] - 7 * difficulty - 0.5 and 0 <= sign.font < len(FONTS)
            assert sign.text_colour in TEXT_COLOURS[sign.colour] and abs(sign.angle) <= 4 + 8 * difficulty
            assert 1 - 0.55 * difficulty <= sign.contrast <= 1
            assert abs(sign.tilt[0]) <= 0.2 * difficulty and abs(sign.tilt[1]) <= 0.1 * difficulty
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
        for sign in sample_layout(seed, difficulty_of(seed), lambda rng: "WWWWWWWWWWWWWWWWWW").signs:
            assert sign.box[0] > 0 and sign.box[2] < 1
            assert plate_size(sign.text, sign.font, sign.font_size)[0] < 384


def test_text_contrasts_with_its_plate():
    for plate, inks in TEXT_COLOURS.items():
        for ink in inks:
            light = [float(np.dot(COLOURS[name], (0.299, 0.587, 0.114))) for name in (plate, ink)]
            assert abs(light[0] - light[1]) > 80, (plate, ink)


def test_every_object_shows_at_least_half_of_itself(layouts):
    for layout in layouts[:100]:
        drawn = render(layout)
        for index, item in enumerate(layout.objects):
            alone = render(replace(layout, objects=[item], signs=[], ropes=[])).instances == 0
            share = np.count_nonzero(drawn.instances == index) / np.count_nonzero(alone)
            assert share >= MIN_VISIBLE, (layout.seed, item.label, share)


def test_layout_boxes_agree_with_what_is_painted(layouts):
    for layout in layouts[:60]:
        sides = np.array([layout.width, layout.height] * 2)
        for item in layout.objects:
            painted = extent(render(replace(layout, objects=[item], signs=[], ropes=[])).instances == 0)
            # The thinnest parts of small drawings (the string of a balloon) fade away.
            assert np.abs((np.array(painted) - item.box) * sides).max() < 3.5, (layout.seed, item.label)
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


def test_difficulty_makes_scenes_fuller_and_is_checked():
    counts, sizes, signs, letters = [], [], [], []
    for layouts in map(at, (0.0, *LEVELS.values(), 1.0)):
        counts.append(np.mean([len(layout.objects) for layout in layouts]))
        sizes.append(np.mean([item.size for layout in layouts for item in layout.objects]))
        signs.append(np.mean([len(layout.signs) for layout in layouts]))
        letters.append(np.mean([sign.font_size for layout in layouts for sign in layout.signs]))
    assert counts == sorted(counts) and counts[-1] > counts[0] + 3
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.75 * sizes[0]
    assert signs == sorted(signs) and signs[-1] > signs[0] + 0.3
    assert letters[-1] < letters[0] - 4
    assert max(len(layout.objects) for layout in at(1.0)) == 12
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="difficulty"):
            sample_layout(0, wrong)


def test_levels_are_in_order_and_medium_is_the_default():
    assert list(LEVELS) == ["easy", "medium", "hard"] and sorted(LEVELS.values()) == list(LEVELS.values())
    assert sample_layout(5) == sample_layout(5, MEDIUM)


def test_plain_scenes_are_plain():
    for layout in at(0.0):
        assert layout.conditions == Conditions()
        for sign in layout.signs:
            assert sign.font < PLAIN_FONTS and sign.contrast == 1 and sign.tilt == (0.0, 0.0)


def test_hard_scenes_show_everything_that_is_hard():
    layouts = at(1.0)
    signs = [sign for layout in layouts for sign in layout.signs]
    assert {sign.font for sign in signs} == set(range(len(FONTS)))
    for share in (
        np.mean([sign.font >= PLAIN_FONTS for sign in signs]),
        np.mean([sign.contrast < 1 for sign in signs]),
        np.mean([sign.tilt != (0.0, 0.0) for sign in signs]),
        np.mean([layout.conditions.jpeg > 0 for layout in layouts]),
        np.mean([layout.conditions.grain > 0 for layout in layouts]),
        2 * np.mean([layout.conditions.blur > 0 for layout in layouts]),
        2 * np.mean([layout.conditions.resolution < 1 for layout in layouts]),
        2 * np.mean([layout.conditions.night > 0 for layout in layouts]),
    ):
        assert 0.3 < share < 0.7


def test_small_letters_are_spared_from_blur_and_low_resolution():
    seen = 0
    for layout in at(1.0, range(400)):
        conditions = layout.conditions
        for sign in layout.signs:
            assert conditions.blur <= 0.075 * sign.font_size + 1e-9
            assert conditions.resolution * sign.font_size >= 10 - 1e-9
            seen += conditions.blur > 0 or conditions.resolution < 1
    assert seen > 100


def test_look_alikes_are_told_apart_by_a_careful_look_and_come_up_together():
    assert "tiger" in look_alikes("cat") and look_alikes("robot") == ()
    for label in THING_LABELS:
        for other in look_alikes(label):
            assert label in look_alikes(other) and other != label
            assert other not in confusable(label), "nobody could ask about one beside the other"

    def share(layouts):
        found = [{item.label for item in layout.objects} for layout in layouts if len(layout.objects) > 3]
        return np.mean([any(set(look_alikes(label)) & labels for label in labels) for labels in found])

    assert share(at(1.0)) > share(at(0.0)) + 0.2


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
