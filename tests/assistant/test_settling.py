"""What is said of things goes with what was detected, as far as the model finds it likely."""

import math

import numpy as np
import pytest

from moai.settling import Held, reason, settle
from moai.settling.detections import LONGEST, MISSED, Claim, claim_of, counts, weights
from perception.scene import Detection, Scene, Tag

BOX = (0.1, 0.1, 0.6, 0.6)


def scene(possible: dict[str, float], *boxes: tuple[str, float]) -> Scene:
    found = Scene(100, 100, detections=[Detection(label, BOX, score) for label, score in boxes])
    found.put("possible", [Tag(label, score) for label, score in possible.items()])
    return found


CAT = scene({"cat": 0.86, "dog": 0.4, "person": 0.05, "hot dog": 0.3, "dining table": 0.2}, ("cat", 0.8), ("dog", 0.3))


@pytest.mark.parametrize(
    "question, about, label",
    [
        ("Is there a cat?", "there", "cat"),
        ("IS THERE A CAT? \N{CAT FACE}", "there", "cat"),
        ("<image>\nIs there a cat in the image?\nAnswer the question using a single word or phrase.", "there", "cat"),
        ("Do you see any dogs in this photo? Please answer yes or no.", "there", "dog"),
        ("Is there at least one hot dog?", "there", "hot dog"),
        ("Can you see a cat?\nReply with yes or no only.", "there", "cat"),
        ("Are there any dining tables visible?", "there", "dining table"),
        ("How many cats are there in the image?", "number", "cat"),
        ("Count the cats.", "number", "cat"),
        ("What is the number of cats in the picture?", "number", "cat"),
        ("What animal is this?", "sort", "animal"),
        ("Which kind of animal can you see?", "sort", "animal"),
    ],
)
def test_claims(question, about, label):
    assert claim_of(question, CAT) == Claim(about, label)


@pytest.mark.parametrize(
    "question",
    [
        "Is there no cat?", "Is there only a cat?", "Are you a cat?", "Am I the only cat?",
        "Are there two cats?", "Is there a cat or a dog?", "Is there a black cat?", "Is it night?",
        "Is the cat left of the dog?", "Is there a person?", "Is there a zebra?", "How many dogs are there?", "",
        "How many legs does the cat have?", "What is the cat doing?", "What animal does the cat see?",
        "Is this a photo?", "What vehicle is this?", "What color is the cat?", "Describe the image.",
    ],
)  # fmt: skip
def test_what_is_no_claim_or_nothing_was_found_of(question):
    assert claim_of(question, CAT) is None
    assert claim_of("Is there a cat?", Scene(10, 10, detections=[Detection("cat", BOX, 0.9)])) is None


def told(**nats):
    return lambda texts: [nats[text] for text in texts]


def test_a_denial_gives_way_to_a_sure_detection_and_a_sure_denial_stays():
    asked = "Is there a cat?"
    assert settle(asked, "No", CAT, told(Yes=2.5, No=0.1)) == "Yes"
    assert settle(asked, "No.", CAT, told(Yes=9.0, No=0.0)) == "No."
    assert settle(asked, "No, there is no cat.", CAT, told(Yes=2.5, No=0.1)) == "Yes"
    for said in ("Yes", "not sure", "It is night.", "", "Nobody"):
        assert settle(asked, said, CAT, told()) == said
    # By Bayes' rule: log-odds of 0.86 beside those of any label.
    evidence = weights(Claim("there", "cat"), "No", CAT)["Yes"]
    assert evidence == pytest.approx(math.log(0.86 / 0.14) - math.log(0.044 / 0.956))


def test_a_number_is_weighed_with_the_boxes():
    asked = "How many cats are there?"
    alike = {str(number): 1.0 for number in range(10)}
    assert settle(asked, "0", CAT, told(**alike)) == "1"
    assert settle(asked, "0", CAT, told(**alike | {"0": 0.0, "1": 6.0, "2": 7.0, "3": 8.0})) == "0"
    assert settle(asked, "Zero", CAT, lambda texts: [1.0] * len(texts)) == "One"
    assert settle(asked, "1", CAT, told(**alike)) == "1"
    for said in ("Several", "12", "A cat", "no one"):
        assert settle(asked, said, CAT, told()) == said


def test_chances_of_numbers():
    assert counts([]) == pytest.approx((1 - MISSED) * MISSED ** np.arange(10))
    two = counts([1.0, 0.5])
    assert two[0] == 0 and two[1] == pytest.approx(0.5 * (1 - MISSED)) and two.argmax() == 2
    for scores in ([0.3] * 4, [0.9, 0.2, 0.6]):
        mean = sum(scores) + MISSED / (1 - MISSED)
        assert counts(scores).sum() == pytest.approx(1, abs=1e-3)
        assert (counts(scores) * np.arange(10)).sum() == pytest.approx(mean, abs=0.02)


def test_hundreds_of_boxes():
    for count in (20, 500):
        crowd = scene({"cat": 0.99}, *[("cat", 1.0)] * count)
        assert weights(Claim("number", "cat"), "0", crowd) == {}
        assert settle("How many cats are there?", "9", crowd, told()) == "9"


def test_of_a_sort_the_one_that_is_likelier_there_than_not_is_named():
    assert settle("What animal is this?", "dog", CAT, told(cat=7.0)) == "cat"
    assert settle("What animal is this?", "cat", CAT, told()) == "cat"
    assert settle("What animal is this?", "There is no animal.", CAT, told()) == "There is no animal."
    both = scene({"cat": 0.9, "horse": 0.8})
    assert settle("What animal is this?", "Dog", both, told(cat=7.0, horse=2.0)) == "horse"


@pytest.mark.parametrize("said, waits", [("No", True), ("0", True), ("x" * LONGEST + "xx", False)])
def test_a_stream_waits_only_where_something_may_change(said, waits):
    for question, claims in (("Is there a cat?", True), ("Is it night?", False)):
        pieces: list[str] = []
        held = Held(pieces.append, question, CAT)
        for letter in said:
            held(letter)
        assert "".join(pieces) == ("" if waits and claims else said)
        held.end("Yes" if waits and claims else said)
        assert "".join(pieces) == ("Yes" if waits and claims else said)


def test_reasons():
    assert reason("05/08/2017") == "was read nowhere in the picture"
    assert reason("No") == "goes less well with what was detected"
