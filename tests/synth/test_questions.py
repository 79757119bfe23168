import re
from collections import Counter
from string import Formatter

import numpy as np
import pytest

from synth import wordings
from synth.asking import COLOURS, COUNT_GROUPS, REGIONS, direction_of, region_of
from synth.catalog import STUFF_LABELS, THING_LABELS
from synth.facts import GROUPS, asked_for, describe, plural_noun, singular_noun
from synth.layout import Layout
from synth.questions import KINDS, ask, template_words
from synth.sample import sample_layout
from synth.signs import COLOURS as PLATES
from tests.synth.scenes import ground, random_layout, sign, street, thing

LAYOUTS = [random_layout(seed) for seed in range(400)] + [sample_layout(seed) for seed in range(150)]


def questions_of(kind, layouts=LAYOUTS, count=6, wording="train"):
    rng = np.random.default_rng(1)
    return [(layout, q) for layout in layouts for q in ask(layout, rng, count, [kind], wording)]


def counts_of(layout):
    counts = Counter(item.label for item in layout.objects)
    counts.update(["sign"] * len(layout.signs))
    counts.update({stuff.label for stuff in layout.stuff if stuff.label})
    return counts


def labels_in(text, nouns):
    """Labels whose noun (what `nouns` maps them to) stands in the text, longest match first."""
    found = []
    for label, noun in sorted(nouns.items(), key=lambda entry: -len(entry[1])):
        if re.search(rf"\b{re.escape(noun)}\b", text):
            text = re.sub(rf"\b{re.escape(noun)}\b", "", text)
            found.append(label)
    return found


def share_of_yes(questions):
    answers = [q.answer for q in questions if q.answer in ("Yes", "No")]
    return answers.count("Yes") / len(answers)


# -- known answers -------------------------------------------------------------------------------------------------


def pairs(kind, layout=None, tries=60, wording="train"):
    """Everything that is asked about a layout in a kind, question -> answer, lower case."""
    rng = np.random.default_rng(0)
    found = ask(layout or street(), rng, tries, [kind], wording)
    return {q.question.lower(): q.answer for q in found}


def test_street_counts_regions_and_sides():
    counts = pairs("count", tries=400)
    assert counts["how many cars are there?"] == "2"
    assert counts["how many signs are there?"] == "2"
    assert counts["how many animals are there?"] == "2"
    places = pairs("position", tries=600)
    assert places["where is the dog?"] == "top right"
    assert places["where is the cat compared with the dog?"] == "left"
    assert places["is the dog right of the cat?"] == "Yes"
    assert places["is the dog left of the cat?"] == "No"
    assert not any("car" in question.split() for question in places), "two cars: 'the car' names neither"


def test_street_signs():
    colours, texts = pairs("colour", tries=400), pairs("reading", tries=400)
    assert colours["what color is the sign that says open?"] == "red"
    assert colours["what colour is the right sign?"] == "blue"
    assert texts["what does the red sign say?"] == "OPEN"
    assert texts["what is written on the sign on the right?"] == "42"
    assert not any(re.search("the sign( in the (picture|image))?[?.]", question) for question in colours | texts)


def test_street_relations():
    relations = pairs("relation", tries=400)
    assert relations["what is the cat sitting on?"] == "bench"
    assert relations["what is driving on the road?"] == "car"
    assert relations["what is the relation between the cat and the bench?"] == "sitting on"
    assert relations["is the cat sitting on the bench?"] == "Yes"
    assert relations["is the cat lying on the bench?"] == "No"
    assert relations.get("is the cat sitting on the dog?", "No") == "No"


def test_stop_sign_makes_signs_ambiguous():
    layout = street()
    layout.objects.append(thing("stop sign", 0.5, 0.5))
    texts = pairs("reading", layout, 200)
    assert texts and all("the sign" not in question and "red" not in question for question in texts)
    assert not any("signs" in question for question in pairs("count", layout, 200) if "stop" not in question)


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        (street(), "Two cars, a bench, a cat and a dog on a road, with a red sign that says OPEN and a blue sign that "
                   "says 42."),
        (Layout(0, 320, 240), "Nothing."),
        (Layout(0, 320, 240, [ground("grass")]), "Nothing on grass."),
        (Layout(0, 320, 240, [ground("wall")], [thing("apple", 0.5, 0.5)]), "An apple in front of a wall."),
        (Layout(0, 320, 240, [], [], [sign("Exit", "orange", 0.5, 0.5)]), "An orange sign that says Exit."),
        (Layout(0, 320, 240, [ground("snow")], [], [sign("Exit", "red", 0.5, 0.5)]),
         "On snow, a red sign that says Exit."),
        (Layout(0, 320, 240, [], [thing("scissors", 0.2, 0.5)] * 3 + [thing("person", 0.5, 0.5)] * 2),
         "Three pairs of scissors and two people."),
    ],
)  # fmt: skip
def test_description(layout, sentence):
    assert describe(layout) == sentence
    assert set(pairs("description", layout, 5).values()) == {sentence}


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
        (label,) = labels_in(q.question, nouns)
        counts = counts_of(layout)
        assert int(q.answer) == (sum(counts[m] for m in groups[label]) if label in groups else counts[label]), q
        seen[q.answer] += 1
    assert max(seen.values()) / sum(seen.values()) < 0.4 and len(seen) >= 5


def test_positions_are_right_and_balanced():
    nouns = {label: singular_noun(label) for label in THING_LABELS}
    asked = questions_of("position")
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
        a, b = sorted(named, key=lambda label: q.question.index(nouns[label]))
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


def test_signs_are_named_without_ambiguity():
    for kind in ("colour", "reading"):
        for layout, q in questions_of(kind):
            right = [s for s in layout.signs if (s.colour if kind == "colour" else s.text) == q.answer]
            assert right, q
            if q.detail == "alone":
                assert len(layout.signs) == 1
            coloured = re.search(rf"\b({'|'.join(COLOURS)}) sign\b", q.question)
            if kind == "reading" and coloured:
                assert [s.text for s in layout.signs if s.colour == coloured[1]] == [q.answer]


def test_choices_offer_the_answer_once_under_its_letter():
    asked = questions_of("choice")
    letters = Counter()
    for layout, q in asked:
        assert 2 <= len(q.options) <= 4 and len({option.lower() for option in q.options}) == len(q.options)
        lines = q.question.split("\n")[1:]
        letters_shown = [re.fullmatch(r"\(?([A-D])[.)] .+", line) for line in lines[: len(q.options)]]
        assert [m[1] for m in letters_shown] == list("ABCD"[: len(q.options)])
        right = q.options["ABCD".index(q.answer)]
        if q.detail == "existence":
            assert [o for o in q.options if counts_of(layout)[o]] == [right]
        letters[len(q.options), q.answer] += 1
    for size in (2, 3, 4):
        total = sum(n for (s, _), n in letters.items() if s == size)
        assert all(abs(n / total - 1 / size) < 0.08 for (s, _), n in letters.items() if s == size)


def test_relations_yes_and_no_are_balanced_and_false_ones_unlisted():
    layouts = [random_layout(seed) for seed in range(400, 1400)] + [sample_layout(seed) for seed in range(300)]
    asked = [(layout, q) for layout, q in questions_of("relation", layouts) if q.detail == "yes/no"]
    for layout, q in asked:
        listed = {
            f"the {singular_noun(layout.label_of(s))} {'is ' * is_in}{p} the {singular_noun(layout.label_of(o))}"
            for s, p, o in layout.relations for is_in in (0, 1)
        }  # fmt: skip
        text = re.sub(r"Look at (the .+)\. Is it", r"Is \1", q.question)
        assert any(told in text or told.capitalize() in text for told in listed) == (q.answer == "Yes"), q
    assert len(asked) > 150 and 0.4 < share_of_yes([q for _, q in asked]) < 0.6


# -- wordings ------------------------------------------------------------------------------------------------------


def test_every_kind_has_enough_wordings_and_the_held_out_are_others():
    assert set(wordings.KIND_FORMS) == set(KINDS)
    for forms in wordings.KIND_FORMS.values():
        assert len({t for form in forms for t in wordings.FORMS[form].train}) >= 15
        assert len({t for form in forms for t in wordings.FORMS[form].heldout}) >= 4
    train = [t for form in wordings.FORMS.values() for t in form.train]
    held_out = [t for form in wordings.FORMS.values() for t in form.heldout]
    assert not set(train) & set(held_out)


def test_held_out_questions_are_never_asked_in_training():
    def shape(template):
        # Labels apart, the words around the slots are what makes a wording.
        return tuple(literal.strip().lower() for literal, *_ in Formatter().parse(template))

    train = {shape(t) for form in wordings.FORMS.values() for t in form.train}
    assert not train & {shape(t) for form in wordings.FORMS.values() for t in form.heldout}
    rng = np.random.default_rng(0)
    layout = street()
    asked = {w: {q.question for q in ask(layout, rng, 300, wording=w)} for w in ("train", "heldout")}
    assert not asked["train"] & asked["heldout"]


@pytest.mark.parametrize("wording", ["train", "heldout"])
def test_template_words_cover_all_that_is_asked_and_answered(wording):
    rng = np.random.default_rng(5)
    labels = set(re.findall("[A-Za-z]+", " ".join([*THING_LABELS, *STUFF_LABELS, *map(plural_noun, THING_LABELS)])))
    for layout in LAYOUTS[:150]:
        texts = {part for s in layout.signs for part in re.findall("[A-Za-z]+|[0-9]", s.text)}
        for q in ask(layout, rng, 12, wording=wording):
            if q.kind == "choice" and q.detail == "reading":
                texts |= set(re.findall("[A-Za-z]+", " ".join(q.options)))
            words = set(re.findall("[A-Za-z]+|[0-9]", f"{q.question} {q.answer}"))
            assert not words - labels - texts - template_words(), q


def test_colours_are_those_of_plates():
    assert set(COLOURS) == set(PLATES)


# -- the call ------------------------------------------------------------------------------------------------------


def test_same_seed_same_questions_no_repeats_and_refusals():
    first, second = (ask(street(), np.random.default_rng(7), 20) for _ in range(2))
    assert first == second and len(first) == len({(q.kind, q.question) for q in first}) == 20
    assert {q.kind for q in ask(street(), np.random.default_rng(7), 60)} == set(KINDS)
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
