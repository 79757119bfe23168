import re
from collections import Counter

import numpy as np
import pytest

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.facts import GROUPS, asked_for
from moai.data.drawn.layout import Layout
from moai.data.drawn.question import NEGATIVE
from moai.data.drawn.questions.ask import KINDS, ask
from moai.data.drawn.questions.asking import COUNT_GROUPS
from moai.data.drawn.scene.sample import sample_layout
from moai.data.nouns import NUMBER_WORDS, plural_noun, singular_noun
from moai.data.places import REGIONS, direction_of, region_of
from tests.data.drawn.asked import LAYOUTS, answers_of, counts_of, labels_in, questions_of, share_of_yes
from tests.data.drawn.scenes import random_layout, street

# -- known answers -------------------------------------------------------------------------------------------------


def test_street_counts_regions_and_sides():
    counts = answers_of("count", tries=400)
    assert counts["how many cars are there?"] == "2"
    assert counts["how many signs are there?"] == "2"
    assert counts["how many animals are there?"] == "2"
    places = answers_of("position", tries=600)
    assert places["where is the dog?"] == "top right"
    assert places["where is the cat compared with the dog?"] == "left"
    assert places["is the dog right of the cat?"] == "Yes"
    assert places["is the dog left of the cat?"] == "No"
    assert not any("car" in question.split() for question in places), "two cars: 'the car' names neither"


def test_street_relations():
    relations = answers_of("relation", tries=400)
    assert relations["what is the cat sitting on?"] == "bench"
    assert relations["what is driving on the road?"] == "car"
    assert relations["what is the relation between the cat and the bench?"] == "sitting on"
    assert relations["is the cat sitting on the bench?"] == "Yes"
    assert relations["is the cat lying on the bench?"] == "No"
    assert relations.get("is the cat sitting on the dog?", "No") == "No"


# -- properties over random layouts --------------------------------------------------------------------------------


def test_existence_is_right_and_balanced_within_each_detail():
    asked = questions_of("existence")
    nouns = {label: asked_for(label) for label in (*THING_LABELS, *STUFF_LABELS)}
    for layout, q in asked:
        (label,) = labels_in(q.question.split(". ")[-1] if q.question.startswith("Look") else q.question, nouns)
        assert q.answer == ("Yes" if counts_of(layout)[label] else "No"), q
    by_detail = {d: [q for _, q in asked if q.detail == d] for d in ("random", "popular", "adversarial")}
    assert 0.35 < len(by_detail["adversarial"]) / len(asked) < 0.65
    assert all(0.4 < share_of_yes(group) < 0.6 for group in by_detail.values() if len(group) > 200)
    assert 0.46 < share_of_yes([q for _, q in asked]) < 0.54


def test_labels_alone_hardly_tell_whether_they_are_there():
    nouns = {label: asked_for(label) for label in THING_LABELS}
    asked = questions_of("existence", [sample_layout(10_000 + seed) for seed in range(600)], 8)
    answers = [(found[0], q.answer) for _, q in asked if (found := labels_in(q.question, nouns))]
    half = len(answers) // 2
    seen = {label: Counter() for label in THING_LABELS}
    for label, answer in answers[:half]:
        seen[label][answer] += 1
    guesses = [seen[label]["Yes"] > seen[label]["No"] for label, _ in answers]
    right = [guess == (answer == "Yes") for guess, (_, answer) in zip(guesses, answers, strict=True)]
    assert np.mean(right[half:]) < 0.6


def test_adversarial_absents_share_a_group_with_something_there():
    nouns = {label: asked_for(label) for label in THING_LABELS}
    for layout, q in questions_of("existence"):
        if q.detail == "adversarial" and q.answer == "No":
            (label,) = labels_in(q.question, nouns)
            assert any(label in group and set(group) & set(counts_of(layout)) for group in GROUPS.values()), q


def test_counts_are_right():
    nouns = {label: plural_noun(label) for label in THING_LABELS} | {name: name for name, *_ in COUNT_GROUPS}
    groups = {name: members for name, members, _ in COUNT_GROUPS}
    seen = Counter()
    for layout, q in questions_of("count"):
        if q.detail == "yes/no":
            continue
        (label,) = labels_in(q.question, nouns)
        counts = counts_of(layout)
        assert int(q.answer) == (sum(counts[m] for m in groups[label]) if label in groups else counts[label]), q
        seen[q.answer] += 1
    assert max(seen.values()) / sum(seen.values()) < 0.4 and len(seen) >= 5


def test_claimed_counts_are_judged_rightly_and_the_number_alone_hardly_tells():
    numbers = {word: number for number, word in enumerate(NUMBER_WORDS)}
    groups = {name: members for name, members, _ in COUNT_GROUPS}
    nouns = {label: plural_noun(label) for label in THING_LABELS} | {name: name for name in groups}
    single = {label: singular_noun(label) for label in THING_LABELS} | {name: name[:-1] for name in groups}
    layouts = LAYOUTS + [sample_layout(20_000 + seed) for seed in range(400)]
    asked = [(layout, q) for layout, q in questions_of("count", layouts) if q.detail == "yes/no"]
    claims = Counter()
    for layout, q in asked:
        (claimed,) = re.findall(rf"\b(\d|{'|'.join(NUMBER_WORDS[1:])})\b", q.question)
        claimed = int(claimed) if claimed.isdigit() else numbers[claimed]
        label = labels_in(q.question, single if claimed == 1 and "number of" not in q.question else nouns)[0]
        counts = counts_of(layout)
        count = sum(counts[m] for m in groups[label]) if label in groups else counts[label]
        assert q.answer == ("Yes" if count == claimed else "No"), q
        claims[claimed, q.answer] += 1
    assert 0.44 < share_of_yes([q for _, q in asked]) < 0.56
    assert all(0.3 < claims[n, "Yes"] / (claims[n, "Yes"] + claims[n, "No"]) < 0.7 for n in (1, 2, 3, 4)), claims


def test_positions_are_right_and_balanced():
    nouns = {label: singular_noun(label) for label in THING_LABELS}
    asked = [(layout, q) for layout, q in questions_of("position") if q.detail != NEGATIVE]
    for layout, q in asked:
        boxes = [(item.label, item.box) for item in layout.objects] + [("sign", item.box) for item in layout.signs]
        middles = {label: ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for label, box in boxes}
        named = labels_in(q.question, nouns)
        assert all(counts_of(layout)[label] == 1 for label in named)
        if q.detail == "region":
            x, y = middles[named[0]]
            row, column = int(y * 3), int(x * 3)
            assert q.answer == REGIONS[3 * row + column], q
            continue
        a, b = sorted(named, key=lambda label: re.search(rf"\b{nouns[label]}\b", q.question).start())
        dx, dy = (middles[a][0] - middles[b][0]) * layout.width, (middles[a][1] - middles[b][1]) * layout.height
        side = ("right" if dx > 0 else "left") if abs(dx) > abs(dy) else ("below" if dy > 0 else "above")
        if q.detail == "relative yes/no":
            words = {"higher": "above", "lower": "below"}
            told = re.search(r"\b(left|right|above|below|higher|lower)\b", q.question)
            assert (q.answer == "Yes") == (words.get(told[1], told[1]) == side), q
        else:
            # In these wordings the thing that is asked about comes second.
            flipped = re.search("side of the|direction from the|^Look at the", q.question)
            opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}
            assert q.answer == (opposite[side] if flipped else side), q
    assert 0.42 < share_of_yes([q for _, q in asked]) < 0.58


def test_choices_offer_the_answer_once_under_its_letter():
    for layout, q in questions_of("choice"):
        assert 2 <= len(q.options) <= 4 and len({option.lower() for option in q.options}) == len(q.options)
        lines = q.question.split("\n")[1:]
        letters_shown = [re.fullmatch(r"\(?([A-D])[.)] .+", line) for line in lines[: len(q.options)]]
        assert [m[1] for m in letters_shown] == list("ABCD"[: len(q.options)])
        right = q.options["ABCD".index(q.answer)]
        if q.detail == "existence":
            assert [o for o in q.options if counts_of(layout)[o]] == [right]


def test_answers_cannot_be_guessed_from_scenes_at_large():
    rng = np.random.default_rng(4)
    asked = [q for seed in range(30_000, 30_800) for q in ask(sample_layout(seed), rng, 10)]
    yes_no = [q for q in asked if q.is_yes_no]
    assert len(yes_no) > 2000 and 0.47 < share_of_yes(yes_no[:2000]) < 0.53
    letters = Counter((len(q.options), q.answer) for q in asked if q.kind == "choice")
    for size in (2, 3, 4):
        total = sum(n for (s, _), n in letters.items() if s == size)
        assert all(abs(n / total - 1 / size) < 0.08 for (s, _), n in letters.items() if s == size)
    kinds = Counter(q.kind for q in asked)
    assert all(0.03 < kinds[kind] / len(asked) < 0.25 for kind in KINDS), kinds
    assert 0.03 < sum(q.detail == NEGATIVE for q in asked) / len(asked) < 0.1


def test_relations_yes_and_no_are_balanced_and_false_ones_unlisted():
    layouts = [random_layout(seed) for seed in range(400, 1400)] + [sample_layout(seed) for seed in range(300)]
    asked = [(layout, q) for layout, q in questions_of("relation", layouts) if q.detail == "yes/no"]
    for layout, q in asked:
        listed = {
            f"the {singular_noun(layout.label_of(s))} {'is ' * is_in}{p} the {singular_noun(layout.label_of(o))}"
            for s, p, o in layout.relations for is_in in (0, 1)
        }  # fmt: skip
        text = re.sub(r"(?:Look at|Find) (the .+)\. Is it", r"Is \1", q.question)
        assert any(told in text or told.capitalize() in text for told in listed) == (q.answer == "Yes"), q
    assert len(asked) > 150 and 0.4 < share_of_yes([q for _, q in asked]) < 0.6


# -- wordings ------------------------------------------------------------------------------------------------------


# -- the call ------------------------------------------------------------------------------------------------------


def test_same_seed_same_questions_no_repeats_and_refusals():
    first, second = (ask(street(), np.random.default_rng(7), 20) for _ in range(2))
    assert first == second and len(first) == len({(q.kind, q.question) for q in first}) == 20
    assert {q.kind for q in ask(street(), np.random.default_rng(7), 120)} == set(KINDS)
    assert ask(Layout(0, 320, 240), np.random.default_rng(0), 5, ["reading"]) == []
    with pytest.raises(ValueError, match="unknown kinds"):
        ask(street(), np.random.default_rng(0), 1, ["colours"])
    with pytest.raises(ValueError, match="wording must be"):
        ask(street(), np.random.default_rng(0), 1, wording="test")


def test_region_and_direction_leave_out_the_doubtful():
    assert region_of(0.5, 0.5) == "center" and region_of(0.35, 0.5) is None
    assert region_of(1.0, 1.0) == "bottom right" and region_of(0.0, 0.9) == "bottom left"
    assert direction_of(-10, 2) == "left" and direction_of(10, 9) is None and direction_of(0, -3) == "above"
    assert direction_of(0, 0) is None
