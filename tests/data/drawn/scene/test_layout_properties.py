"""What must hold for a drawn scene of any seed and difficulty."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moai.data.drawn.ground_truth import to_scene
from moai.data.drawn.levels import mixed
from moai.data.drawn.render.conditions import sample_conditions
from moai.data.drawn.render.geometry import coarse_mask, leaning, mapped, rectangle_corners, visible_shares
from moai.data.drawn.render.render import render
from moai.data.drawn.render.signs import line_box, sign_box, sign_mask
from moai.data.drawn.scene.sample import MIN_VISIBLE, sample_layout

SEEDS = st.integers(0, 2**40)
DIFFICULTIES = st.floats(0, 1)
SCENES = st.builds(sample_layout, SEEDS, DIFFICULTIES)
QUICK = settings(max_examples=40, deadline=None, derandomize=True)


@QUICK
@given(SEEDS, DIFFICULTIES)
def test_seed_and_difficulty_decide_the_picture(seed, difficulty):
    layout = sample_layout(seed, difficulty)
    assert layout == sample_layout(seed, difficulty)
    first, second = render(layout, 0.5), render(layout, 0.5)
    assert (first.image == second.image).all() and (first.instances == second.instances).all()


@QUICK
@given(SCENES)
def test_things_show_enough_of_themselves_and_signs_are_whole(layout):
    width, height = layout.width, layout.height
    masks = [coarse_mask(item, width, height) for item in layout.objects]
    covers = [sign_mask(sign, width, height) for sign in layout.signs]
    assert min(visible_shares(masks, covers)) >= MIN_VISIBLE
    drawn = render(layout)
    for index, sign in enumerate(layout.signs):
        assert sign.box == sign_box(sign, width, height)
        assert 0 < sign.box[0] < sign.box[2] < 1 and 0 < sign.box[1] < sign.box[3] < 1
        x1, y1, x2, y2 = line_box(sign, width, height)
        assert sign.box[0] < x1 and sign.box[1] < y1 and x2 < sign.box[2] and y2 < sign.box[3]
        plate = np.count_nonzero(drawn.instances == -2 - index)
        alone = np.count_nonzero(render(replace(layout, objects=[], signs=[sign], ropes=[])).instances == -2)
        assert plate == alone, "signs are painted last and apart"


@QUICK
@given(SCENES)
def test_conditions_do_not_move_the_truth(layout):
    clear = replace(layout, conditions=type(layout.conditions)())
    told, plain = to_scene(layout, render(layout)), to_scene(clear, render(clear))
    assert told.text_lines == plain.text_lines and told.relations == plain.relations
    assert told.detections == plain.detections and told.object_boxes == plain.object_boxes


@given(SEEDS, DIFFICULTIES, st.floats(5, 40))
@settings(derandomize=True)
def test_conditions_leave_letters_legible(seed, difficulty, letters):
    conditions = sample_conditions(seed, difficulty, letters)
    assert 0 <= conditions.blur <= 0.075 * letters
    assert min(1.0, 10 / letters) <= conditions.resolution <= 1 or conditions.resolution >= 1 - 0.55 * difficulty
    assert 0 <= conditions.night <= difficulty and 0 <= conditions.grain <= 22
    assert conditions.jpeg == 0 or 15 <= conditions.jpeg <= 90


@given(st.floats(-0.2, 0.2), st.floats(-0.1, 0.1), st.floats(20, 300), st.floats(10, 60))
@settings(derandomize=True)
def test_leaning_plates_keep_their_middle_and_their_order(across, down, width, height):
    matrix = leaning((across, down), width, height)
    assert np.allclose(mapped(np.zeros((1, 2), np.float32), matrix), 0)
    corners = mapped(rectangle_corners(width, height), matrix)
    assert corners[0][0] < corners[1][0] and corners[3][0] < corners[2][0]
    assert corners[0][1] < corners[3][1] and corners[1][1] < corners[2][1]
    near, far = sorted((corners[3] - corners[0])[1:].tolist() + (corners[2] - corners[1])[1:].tolist())
    assert far / near < (1.3 / 0.7) ** 2


def test_mixed_difficulties_are_even_and_repeat():
    drawn = np.array([mixed(seed) for seed in range(2000)])
    assert np.array_equal(drawn, [mixed(seed) for seed in range(2000)])
    assert (drawn >= 0).all() and (drawn < 1).all()
    assert np.abs(np.histogram(drawn, 4, (0, 1))[0] / 2000 - 0.25).max() < 0.04
