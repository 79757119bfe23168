import numpy as np
import pytest
from skimage import data

from moai import MoAI
from moai.evaluation.drawn import faithfulness as outside
from perception import Scene
from perception.scene import Detection, Segment, TextLine

SCENE = Scene(
    640,
    480,
    segments=[Segment("wall-other-merged", (0, 0, 1, 1), 0.9), Segment("bus", (0, 0, 1, 1), 0.2)],
    detections=[Detection("dog", (0, 0, 1, 1), 0.9), Detection("cat", (0, 0, 1, 1), 0.3)],
    text_lines=[TextLine("Exit Now", 0.99), TextLine("unsure", 0.1)],
)


def figures(answers, scene=SCENE):
    return outside.keeps_to_experts(scene, answers, np.random.default_rng(0))


def test_what_experts_saw_is_what_they_were_sure_of():
    assert outside.seen_labels(SCENE) == {"wall", "dog"}


def test_a_model_that_says_what_its_experts_saw_gets_full_marks():
    def honest(question):
        if question.startswith("Is there"):
            return "Yes" if "dog" in question or "wall" in question else "No"
        return "EXIT" if "text" in question else "A dog in front of a wall."

    assert figures(honest) == {"seen": 1, "unseen": 1, "described": 1, "text": 1}
    blank = Scene(640, 480)
    silent = {
        "Describe the picture.": "There is nothing that I know.",
        "What text is in the picture?": "There is no text.",
    }
    assert figures(lambda question: silent.get(question, "No"), blank) == {"unseen": 1, "text": 1}


def test_a_model_that_makes_things_up_does_not():
    def inventive(question):
        if question.startswith("Is there"):
            return "Yes"
        return "STOP Exit" if "text" in question else "Two cats, a dog and a sheep."

    found = figures(inventive)
    assert found == {"seen": 1, "unseen": 0, "described": pytest.approx(1 / 3), "text": 0.5}
    assert figures(inventive, Scene(640, 480))["text"] == 0
    assert figures(lambda question: "", SCENE)["text"] == 0


def test_pictures_are_of_all_groups_and_the_embedded_model_takes_them():
    given = list(outside.pictures())
    assert {group for group, *_ in given} == {"photographs", "pages", "nothing"}
    assert all(picture.dtype == np.uint8 and picture.shape[2] == 3 for *_, picture in given)
    nano = MoAI.from_pretrained("moai-nano", device="cpu")
    table = outside.measure(nano, iter([("photographs", "rocket", data.rocket())]))
    row = table["photographs"]["rocket"]
    assert set(row) <= {"seen", "unseen", "described", "text"} and all(0 <= value <= 1 for value in row.values())
    assert "| photographs (1) |" in outside.markdown(table)
