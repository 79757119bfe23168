import json
import shlex

import pytest

from moai import MoAI
from moai.data.drawn.text.words import word_list
from moai.data.splits import HELD_OUT_SEED
from moai.evaluation.drawn import answers


def test_answers_are_scored_by_variant_and_kind(tmp_path, capsys):
    out = tmp_path / "scores.json"
    given = ["--questions", "10", "--level", "easy", "--variants", "all experts,backbone alone", "--out", str(out)]
    given += ["--cache", str(tmp_path / "scenes")]
    assert answers.main(given) == 0
    assert list((tmp_path / "scenes").glob("drawn-*/*/*.json.z"))
    told = json.loads(out.read_text())
    tables = told["scores"]
    assert told["command"] == f"moai eval answers {shlex.join(given)}"
    assert list(tables) == ["all experts", "backbone alone"]
    assert tables["all experts"]["overall"]["count"] >= 10
    assert tables["all experts"]["overall"]["score"] > 0.7
    assert "| kind | questions | majority | all experts | backbone alone |" in capsys.readouterr().out


def test_signs_show_held_out_words_and_questions_are_held_out():
    assistant = MoAI.from_pretrained("moai-nano", device="cpu")
    options = {"wording": "heldout", "words": "heldout", "kinds": ("reading",)}
    examples = list(answers.perceived_examples(assistant.perceive, 25, HELD_OUT_SEED + 600_000, **options))
    assert {example.question.kind for example in examples} == {"reading"}
    read = [example.question for example in examples if example.question.detail == "unseen word"]
    assert read and all(word in word_list("heldout") for one in read for word in one.answer.lower().split())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--variants", "half"], "unknown variant 'half'; allowed are all experts, aux emptied, backbone alone"),
        (["--kinds", "reading,writing"], "unknown kind 'writing'; allowed are existence, count"),
        (["--first-seed", "5"], "scenes below it are trained on"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(wrong, sentence):
    with pytest.raises(ValueError) as error:
        answers.main(wrong)
    assert sentence in str(error.value) and "\n" not in str(error.value)
