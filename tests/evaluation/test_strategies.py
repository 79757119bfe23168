"""Drafts and contrast beside the greedy answer: the command, its tables, and how it goes on."""

import json

import pytest

from moai.evaluation.strategies import command
from moai.evaluation.strategies.asking import Said, choice, read, write
from moai.evaluation.strategies.questions import Asked, divided, in_text
from moai.evaluation.strategies.table import report
from tests.models.pretrained.families import language_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("sparse")
    rows = [{"question": f"what is the number {number}?", "answer": f"so #### {number}"} for number in range(24)]
    (place / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return language_model("olmoe", place / "olmoe"), place / "questions.jsonl"


def test_a_sparse_model_of_the_hub_in_one_command(files, tmp_path, capsys):
    model, questions = files
    words = ["--text", str(questions), "--model", str(model), "--samples", "12", "--temperatures", "1", "--strengths",
             "0.5", "1", "--weak", "rank2", "--aggregate", "--tokens", "3", "--out", str(tmp_path)]  # fmt: skip
    assert command.main(words) == 0
    first = capsys.readouterr().out
    for line in (
        "| greedy | ",
        "drafts 1: vote of 6",
        "best of 6 (oracle)",
        "aggregate of 6",
        "aggregate of 12",
        "contrast rank2",
    ):
        assert line in first
    kept = (tmp_path / "answers.jsonl").read_text()
    assert command.main([*words, "--beside", str(tmp_path)]) == 0
    beside = "| greedy answer of the other model | 0.0 % | +0.0 (+0.0 to +0.0) | 0 |  |  |\n"
    again = capsys.readouterr().out.replace(f" --beside {tmp_path}", "")
    assert again.replace(beside, "") == first != again
    assert command.main([*words, "--beside", str(tmp_path / "none")]) == 2
    assert "has no greedy answers to 24 of these 24 questions" in capsys.readouterr().err
    assert command.main(words) == 0
    assert capsys.readouterr().out == first and (tmp_path / "answers.jsonl").read_text() == kept
    row = json.loads(next(line for line in kept.splitlines() if '"drafts 1|' in line and "seconds" not in line))
    assert len(read(row["answer"])) == 12 and all(1 <= said.tokens <= 3 for said in read(row["answer"]))


def test_photographs_of_packages_around_us(model_folder, tmp_path, capsys):
    words = ["--model", str(model_folder), "--pictures", "builtin", "--limit", "12", "--samples", "2", "--temperatures",
             "1", "--strengths", "0.5", "--weak", "second", "--tokens", "2", "--out", str(tmp_path)]  # fmt: skip
    assert command.main(words) == 0
    told = capsys.readouterr().out
    assert "moai eval strategies --model" in told and "drafts 1: best of 2" not in told
    for line in ("| greedy | ", "drafts 1: one draft", "contrast second 0.5", "| of 2 drafts agree |"):
        assert line in told
    keys = {json.loads(line)["key"].split("|")[-1] for line in (tmp_path / "answers.jsonl").read_text().splitlines()}
    assert {key.split("/")[0] for key in keys} >= {"pope", "counting"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--weak", "rank99"], "rank99 needs 99 experts in each sparse layer"),
        (["--weak", "second"], "second needs a model with mixers"),
        (["--weak", "worse"], "there is no weak side 'worse'"),
        (["--samples", "99"], "samples is 99; allowed is 1 to 64"),
        (["--reserve", "6"], "reserve 6 leaves no room in a window of 6"),
    ],
)
def test_sentences(files, words, sentence, tmp_path, capsys):
    model, questions = files
    assert command.main(["--text", str(questions), "--model", str(model), "--out", str(tmp_path), *words]) == 2
    assert sentence in capsys.readouterr().err


def asked(count: int) -> list[Asked]:
    return [
        Asked(f"q{number}", "all", "?", lambda text: float(text == "right"), f"p{number}") for number in range(count)
    ]


def test_tables_by_hand():
    questions = asked(40)
    answers = {}
    for number, one in enumerate(questions):
        greedy = "right" if number % 2 else "wrong"
        answers[f"greedy|{one.key}"] = write([Said(greedy, -1.0, 2)])
        drafts = [Said("right", -0.1, 2), Said("right", -0.2, 2), Said("wrong", -0.3, 2)]
        answers[f"drafts 1|{one.key}"] = write(drafts * 2)
        answers[f"contrast second 0.1|{one.key}"] = write([Said("wrong", -1.0, 2, 1)])
        answers[f"contrast second 0.5|{one.key}"] = write([Said(greedy, -1.0, 2, 1)])
        for number, said in ((4, "wrong"), (6, "right")):
            answers[f"aggregate drafts 1 of {number}|{one.key}"] = write([Said(said, -1.0, 5)])
    answers["greedy|seconds|q0"] = "40"
    for way, seconds in (("drafts 1", "20"), ("aggregate drafts 1 of 4", "40"), ("aggregate drafts 1 of 6", "80")):
        answers[f"{way}|seconds|q0"] = seconds
    test = [int(one.key[1:]) for one in divided(questions)[1]]
    share = 100 * sum(number % 2 for number in test) / len(test)
    text = report(questions, answers, "the command")
    assert f"{len(test)} questions; temperature and strengths were chosen on {40 - len(test)} others" in text
    assert f"| greedy | {share:.1f} % |  | 0 | 2 | 1.000 |" in text
    vote = next(line for line in text.splitlines() if "vote of 6" in line)
    assert f"| 100.0 % | {100 - share:+.1f} (" in vote and "| 12 |" in vote
    # A sequence of windows costs its drafts and all of its turns.
    combined = next(line for line in text.splitlines() if "aggregate of 6" in line)
    assert "| 100.0 % |" in combined and combined.endswith(" | 22 | 3.500 |") and "aggregate of 4" not in text
    # The strength that was best on the others is reported, and no other one.
    assert "contrast second 0.5" in text and "contrast second 0.1" not in text
    assert f"| 4 | {len(test)} | 100.0 % |" in text
    assert choice([Said("a", -1.0, 1), Said("B.", -0.5, 1)]) == ("B.", 1)


def test_a_quarter_chooses_and_never_none_nor_all(files, tmp_path, capsys):
    for count in range(2, 40):
        dev, test = divided(asked(count))
        assert dev and test and len(dev) + len(test) == count
    assert 0.15 < len(divided(asked(1000))[0]) / 1000 < 0.35
    # Told before anything is asked.
    (tmp_path / "one.jsonl").write_text('{"question": "Who?", "answer": "Ada"}')
    words = ["--text", str(tmp_path / "one.jsonl"), "--model", str(files[0]), "--weak", "rank2"]
    assert command.main([*words, "--out", str(tmp_path / "out")]) == 2
    assert "too few questions" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_how_text_is_marked(tmp_path):
    file = tmp_path / "some.jsonl"
    file.write_text('{"question": "1,000 + 1?", "answer": "#### 1,001"}\n\n{"question": "Who?", "answer": "Ada"}\n')
    number, name = in_text(file)
    assert number.mark("It is 7, no, 1001.") == 1 and number.mark("1001 or 7") == 0 and number.mark("none") == 0
    assert name.mark("ada lovelace") == 1 and name.mark("Bob") == 0
    file.write_text("[1]\n")
    with pytest.raises(ValueError, match="holds no questions: each line must be an object"):
        in_text(file)
