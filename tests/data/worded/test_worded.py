"""Made-up scenes in words: what is asked stands in the words, and the answers follow from them."""

import re
from collections import Counter

import numpy as np
import pytest

from moai.data.photographs.asking import squeezed
from moai.data.registry import build, rows_for
from moai.data.worded.receipts import receipt
from moai.data.worded.scenes import SORTS, made_up
from moai.data.worded.vocabulary import AnyLabel, groups, imagenet
from perception.verbalize import verbalize


@pytest.fixture(scope="module")
def examples(processor):
    """Some hundred examples with their words."""
    source = build([{"name": "worded"}], rows_for(processor, pictures=False, experts=()), seed=4).source
    return [(one, verbalize(one.scene)) for position in range(200) for one in source.examples(position)]


def test_names_are_many_and_of_no_detectors_list():
    assert len({label for some in groups().values() for label in some}) > 500 and len(imagenet()) > 900
    scenes = [made_up(np.random.default_rng(seed), "things")[0] for seed in range(200)]
    assert len({box.label for one in scenes for box in one.boxes}) > 250


def test_yes_no_and_counts_follow_from_the_words(examples):
    said = Counter()
    for example, words in examples:
        labels = Counter(re.findall(r"\] ([^,]+?)(?:,|\.\s|\.$)", words))
        for question, answer in example.turns:
            if found := re.fullmatch(r"Is there an? (.+) in the image\?", question):
                assert (found[1] in labels) == (answer == "Yes"), (words, question, answer)
                said[answer] += 1
            if re.match("How many lines", question):
                assert int(answer) == len(example.scene.text_lines)
            if found := re.fullmatch(r"There is no (.+)\.", answer):
                assert found[1] not in labels and f"also show: {found[1]}" not in words
    assert 0.6 < said["Yes"] / said["No"] < 1.6


def test_what_is_to_be_read_stands_in_the_words(examples):
    asked = "total|company|sign say|phone number|plate|name of the street|address|written below|\\bline"
    readings = 0
    for example, words in examples:
        read = squeezed(words.replace(", and ", ""))
        for question, answer in example.turns:
            if "\n" in question or not re.search(asked, question) or re.match("There is no|Yes$|No$|[0-9]+$", answer):
                continue
            assert all(squeezed(part) in read for part in answer.split()), (question, answer)
            readings += 1
    assert readings > 100


def test_a_plate_is_told_from_what_else_is_read():
    made = [made_up(np.random.default_rng(seed), "plate") for seed in range(60)]
    for truth, scene, _ in made:
        (line,) = truth.text_lines
        assert re.fullmatch("[A-Z0-9]{5,8}", line.text)
        assert sum(re.sub("[^A-Z0-9]", "", one.text) == line.text for one in scene.text_lines) == 1
    assert {len(scene.text_lines) for _, scene, _ in made} >= {1, 2, 3}


def test_receipts_hold_their_fields_and_lie_in_rows():
    sizes = []
    for seed in range(100):
        made = receipt(np.random.default_rng(seed))
        text = squeezed("".join(one.text for one in made.lines))
        assert set(made.fields) == {"company", "address", "date", "total"}
        assert all(squeezed(word) in text for one in made.fields.values() for word in one.split()), made.fields
        assert re.fullmatch(r"\d+\.\d\d", made.fields["total"])
        assert all(a.box[1] <= b.box[3] for a, b in zip(made.lines, made.lines[1:], strict=False))
        assert all(0 <= one.box[0] < one.box[2] <= 1 and 0 <= one.box[1] < one.box[3] <= 1 for one in made.lines)
        sizes.append(len(made.lines))
    assert min(sizes) >= 10 and max(sizes) <= 110


def test_an_absent_label_is_not_another_name_of_what_is_there():
    rng = np.random.default_rng(0)
    absent = {AnyLabel().absent(frozenset({"person", "cup"}), rng) for _ in range(3000)}
    assert not absent & {"woman", "mug", "person", "cup"} and len(absent) > 300
    assert AnyLabel().absent(frozenset({"duck"}), rng) != "bird"


def test_a_position_gives_the_same_and_every_sort_comes(processor):
    samples = build([{"name": "worded", "wordings": 0.5}], rows_for(processor), seed=1)
    one, again = (next(iter(samples.source.examples(3))) for _ in range(2))
    assert list(one.turns) == list(again.turns) and (one.image == again.image).all() and one.scene == again.scene
    assert sum(samples.sample(position) is not None for position in range(10)) >= 8
    words = rows_for(processor, pictures=False)
    assert build([{"name": "worded"}], words).sample(1)["aux_attention_mask"].any()
    assert sum(SORTS.values()) == pytest.approx(1)
    with pytest.raises(ValueError, match="no expert speaks"):
        build([{"name": "worded"}], rows_for(processor, experts=()))
