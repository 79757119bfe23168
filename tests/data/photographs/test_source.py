"""Photographs become examples: people's answers, real experts' scenes, the same for the same position."""

import re
from collections import Counter

import numpy as np
import pytest

from moai.data.photographs.absence import Absence
from moai.data.photographs.annotations import read_photographs
from moai.data.photographs.asking import Asking
from moai.data.photographs.makers import ask
from moai.data.photographs.photograph import LabelledBox, Photograph
from moai.data.photographs.questions import lists
from moai.data.photographs.questions.captions import tidy
from moai.data.photographs.questions.existence import existence
from moai.data.photographs.questions.reading import field, plate, seen_text
from moai.data.photographs.words import labels_hinted, labels_named
from moai.data.registry import build, rows_for
from perception import Detection, Scene, TextLine
from tests.data.photographs.conftest import RECORDS, write


def asked_of(folder, name, count=300):
    """Every question that a photograph of the folder is ever asked, with its answers, by sort."""
    photographs = read_photographs(folder)
    one = next(photograph for photograph in photographs if name in str(photograph.path))
    absences = Absence.of_boxes(photographs), Absence.of_captions(photographs)
    found = {}
    for seed in range(count):
        for sort, turn in ask(Asking(one, None, absences, np.random.default_rng(seed), photographs[1]), 8):
            found.setdefault(sort, {}).setdefault(turn[0], set()).add(turn[1])
    return found


def test_answers_are_what_people_wrote(folder):
    found = asked_of(folder, "park")
    for text, answers in found["counting"].items():
        # The bench may be a crowd, and is not counted.
        assert "bench" not in text
        if "dogs" in text and "car" not in text:
            assert answers & {"2", "Two", "Yes", "No"} and not answers & {"1", "3"}
    for text, answers in found["existence"].items():
        assert answers == {"Yes" if re.search("dog|person|people|bench", text) else "No"}, text
    assert {"Two dogs run beside a man."} <= set.union(*found["caption"].values())
    assert found["statement"].keys() and set.union(*found["statement"].values()) <= {"Yes", "True"}
    assert set.union(*found["missing thing"].values()) == {"There is no car."}
    assert "There are two dogs in the image." in set.union(*found["sentence"].values())
    assert set.union(*found["colour"].values()) <= {"red", "Yes", "No"}
    assert set.union(*asked_of(folder, "room")["question"].values()) == {"lamp, book"}
    receipt = asked_of(folder, "receipt")["field"]
    assert {"9.00", "25/12/2018", "ALPHA STORE"} == set.union(*receipt.values())


def test_sides_and_letters_follow_the_boxes(folder):
    boxes = [{"label": "cat", "box": [10, 50, 30, 70]}, {"label": "car", "box": [150, 52, 190, 72]}]
    photographs = read_photographs(write(folder, [RECORDS[0] | {"boxes": boxes}, RECORDS[1]]))
    absences = Absence.of_boxes(photographs), Absence.of_captions(photographs)
    sides, letters = set(), set()
    for seed in range(200):
        asking = Asking(photographs[0], None, absences, np.random.default_rng(seed))
        for sort, (text, answer) in ask(asking, 12):
            if sort == "relative" and re.match(r"Where is the|Is the \w+ to the (left|right) or", text):
                sides.add((re.search("cat|car", text)[0], answer))
            if sort == "choice":
                options = dict(re.findall(r"\n\(?([A-D])[.)] (.*)", text))
                letters.add(options[answer])
    assert sides == {("cat", "left"), ("car", "right")}
    assert {"cat", "1"} < letters <= {"cat", "car", "1", "left", "right"}


def test_a_sort_of_which_there_is_nothing_is_said_to_be_missing():
    photograph = Photograph("x", "made", 9, 9, (LabelledBox("bus", (0, 0, 1, 1)),), exhaustive=True)
    absences = Absence.of_boxes([photograph]), Absence.of_captions([])
    made = [lists.sort(Asking(photograph, None, absences, np.random.default_rng(seed))) for seed in range(300)]
    said = {answer for question, answer in filter(None, made) if question.startswith(("What", "Which"))}
    assert said == {"bus", "There is no animal.", "There is no food."}


def test_yes_and_no_are_balanced_label_by_label():
    rng = np.random.default_rng(0)
    labels = ["person", "dog", "cat", "car", "cup", "chair", "bus", "bed"]
    odds = np.array([0.9, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1])
    photographs = [
        Photograph("x", "made", 9, 9, tuple(LabelledBox(one, (0, 0, 1, 1)) for one, there in
                   zip(labels, rng.random(8) < odds, strict=True) if there), exhaustive=True)
        for _ in range(600)
    ]  # fmt: skip
    absences = Absence.of_boxes(photographs), Absence.of_captions(photographs)
    said = Counter()
    for photograph in photographs * 2:
        turn = existence(Asking(photograph, None, absences, rng))
        if turn is not None:
            word = re.search("person|people|dog|cat|car|cup|chair|bus|bed", turn[0])[0].replace("people", "person")
            said[word, turn[1]] += 1
    total = Counter()
    for (_, answer), count in said.items():
        total[answer] += count
    assert 0.8 < total["Yes"] / total["No"] < 1.25
    for label in labels:
        assert 0.2 < said[label, "Yes"] / (said[label, "Yes"] + said[label, "No"]) < 0.8, label


def test_only_what_experts_read_is_asked_for(folder):
    receipt = next(one for one in read_photographs(folder) if one.fields)
    absences = Absence.of_boxes([]), Absence.of_captions([])

    def turns(make, photograph, *lines):
        scene = Scene(9, 9, text_lines=[TextLine(text, 0.9) for text in lines])
        made = [make(Asking(photograph, scene, absences, np.random.default_rng(seed))) for seed in range(60)]
        return {turn[1] for turn in made if turn}

    assert turns(field, receipt, "ALPHA ST0RE", "TOTAL", "8.00") == {"ALPHA STORE"}
    assert turns(field, receipt) == set()
    bare = Photograph("x", "rooms", 9, 9)
    assert turns(seen_text, bare, "OPEN") == set() and turns(seen_text, bare) == set()
    scene = Scene(9, 9, text_lines=[TextLine("OPEN", 0.99)])
    assert seen_text(Asking(bare, scene, absences, np.random.default_rng(0)))[1] == "OPEN"
    car = Photograph("x", "plates", 9, 9, text_lines=(TextLine("AB 12-C", 1.0),))
    assert turns(plate, car, "AB12C") == {"AB 12-C"} and turns(plate, car, "XY9") == set()
    assert turns(plate, car) == {"I cannot read it."}


def test_captions_name_things():
    assert labels_named(["Two puppies near a teddy bear .", "Women eat hot dogs"]) >= {"dog", "person"} - {"dog"}
    assert "bear" not in labels_named(["A teddy bear"]) and "dog" not in labels_hinted(["A hot dog"])
    assert "bicycle" in labels_hinted(["a man on a bike"]) and "bicycle" not in labels_named(["a man on a bike"])
    assert tidy("two dogs , one brown , run .") == "Two dogs, one brown, run."


@pytest.fixture
def seen(tmp_path):
    """A folder with what experts saw in it."""
    scene = Scene(200, 120, detections=[Detection("dog", (0.1, 0.2, 0.3, 0.4), 0.9)]).to_dict(exact=True)
    lines = [{"text": "ALPHA STORE TOTAL 9.00 25/12/2018", "score": 0.9, "box": None}]
    return write(tmp_path / "seen", [one | {"scene": scene | {"text_lines": lines}} for one in RECORDS])


def test_examples_are_the_same_for_a_position_and_become_rows(seen, processor):
    rows = rows_for(processor)
    given = {"name": "photographs", "folder": str(seen), "hold_out": 1, "dialogues": 0.5, "wordings": 0.4}
    samples = build([given], rows, seed=3)
    source = samples.source.sources[0]
    one, again = (next(iter(source.examples(5))) for _ in range(2))
    assert one.scene.detections[0].label == "dog" and list(one.turns) == list(again.turns)
    assert one.dialogue == again.dialogue and one.image is not None
    made = [samples.sample(position) for position in range(12)]
    assert all(sample is not None and sample["aux_attention_mask"].any() for sample in made if sample)
    assert any(next(iter(source.examples(position))).dialogue for position in range(12))
    held = source.held_out(3)
    assert len(held) == 1 and len(held[0].turns) == 1
    trained = {next(iter(source.examples(position))).meta.name for position in range(40)}
    assert held[0].meta.name not in trained and len(trained) == 3


def test_text_rows_need_no_pictures(seen, processor):
    rows = rows_for(processor, pictures=False, experts=())
    for path in (seen / "pictures").iterdir():
        path.write_bytes(b"gone")
    sample = build([{"name": "photographs", "folder": str(seen)}], rows).sample(0)
    assert sample["input_ids"].shape[0] == rows.sizes.text_rows
    words = rows_for(processor, pictures=False)
    assert build([{"name": "photographs", "folder": str(seen)}], words).sample(0)["aux_attention_mask"].any()


def test_a_broken_picture_is_passed_over_and_told(seen, processor):
    for path in (seen / "pictures").iterdir():
        path.write_bytes(b"gone")
    samples = build([{"name": "photographs", "folder": str(seen)}], rows_for(processor))
    assert samples.sample(0) is None and samples.reports()[0].startswith("photographs skipped")


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"dialogues": 2}, "within 0 to 1"), ({"hold_out": -1}, "from 0 on"), ({"hold_out": 99}, "leaves nothing"),
     ({"shares": {"rooms": -1}}, "weights from 0 on"), ({"shares": {"sea": 1}}, "leaves no photograph"),
     ({"wordings": 3}, "within 0 to 1")],
)  # fmt: skip
def test_wrong_settings_are_one_sentence(seen, processor, settings, said):
    with pytest.raises(ValueError, match=said):
        build([{"name": "photographs", "folder": str(seen), **settings}], rows_for(processor))


def test_shares_choose_data_sets(seen, processor):
    source = build([{"name": "photographs", "folder": str(seen), "shares": {"rec": 1}}], rows_for(processor)).source
    assert {next(iter(source.examples(position))).meta.name for position in range(8)} == {"receipt.png"}
