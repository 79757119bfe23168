import json

import pytest

from moai.data.drawn.question import NEGATIVE, Question
from moai.evaluation.drawn import expert_contribution as own
from perception.registry import expert_names


def test_questions_are_those_that_the_expert_s_words_answer():
    def existence(text):
        return Question("existence", text, "Yes")

    assert own.is_own("segmentation", existence("Is there any grass here?"))
    assert own.is_own("segmentation", Question("surface", "What covers the bottom of the picture?", "grass"))
    # COCO knows dogs, so both segmentation and detection say them; penguins are detection's alone.
    assert not own.is_own("segmentation", existence("Is there a dog?"))
    assert not own.is_own("segmentation", existence("Is there a penguin?"))
    assert own.is_own("detection", existence("Is there a penguin?"))
    assert not own.is_own("detection", existence("Is there a dog?"))
    assert not own.is_own("detection", Question("count", "How many penguins are left of the dog?", "2"))
    assert not own.is_own("detection", existence("Is there any grass here?"))
    assert not own.is_own("detection", Question("count", "How many animals are there?", "2"))
    assert own.is_own("ocr", Question("reading", "What does the sign say?", "HELLO"))
    assert not own.is_own("ocr", Question("reading", "What does the red sign say?", "None", detail=NEGATIVE))


def test_what_each_expert_adds_is_measured(tmp_path, capsys):
    out = tmp_path / "own.json"
    assert own.main(["--scenes", "3", "--level", "easy", "--out", str(out)]) == 0
    table = json.loads(out.read_text())
    assert list(table) == list(expert_names())
    assert table["ocr"]["all experts"] - table["ocr"]["without it"] > 0.4
    assert table["scene_graph"]["questions"] > 3
    shown = capsys.readouterr().out
    assert "| expert | questions | all experts | without it | it alone | aux emptied |" in shown
    assert shown.count("%") == 16


@pytest.mark.parametrize(("option", "value"), [("--scenes", "0"), ("--first-seed", "5")])
def test_scenes_must_be_held_out_and_there(option, value):
    with pytest.raises(ValueError, match=f"{option} must be at least"):
        own.main([option, value])
