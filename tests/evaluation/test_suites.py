"""A suite of one's own: one file that declares it, and one line."""

import json
import sys
import types

import pytest

from moai.evaluation import suites
from moai.evaluation.cli import main
from moai.evaluation.report import headline_rows
from moai.evaluation.suites import Headline, Suite


@pytest.fixture
def colours(monkeypatch, tmp_path):
    """A suite whose one question is which model it is asked of."""

    def run(assistant, model_name, folder, *, limit, batch_size, scenes, evaluation_seed):
        folder.mkdir(parents=True)
        result = {"benchmark": "colours", "model": model_name, "scores": {"right": 25.0, "questions": scenes}}
        (folder / "scores.json").write_text(json.dumps(result))
        return result

    def headlines(scores):
        return [Headline("Colours", "right", scores["right"], 50.0, scores["questions"])]

    module = types.ModuleType("colours_suite")
    module.SUITE = Suite("colours", "names of colours", run, headlines)
    monkeypatch.setitem(sys.modules, "colours_suite", module)
    monkeypatch.setitem(suites.SUITES, "colours", "colours_suite")


def test_a_suite_is_listed_run_and_reported(colours, model_folder, tmp_path, capsys):
    assert main(["list"]) == 0
    assert "colours         names of colours" in capsys.readouterr().out
    out = tmp_path / "out"
    given = ["--model", str(model_folder), "--device", "cpu", "--scenes", "7", "--out", str(out)]
    assert main(["run", "colours", *given]) == 0
    assert "| right | 25.0 |" in capsys.readouterr().out
    (row,) = headline_rows(json.loads((out / "colours" / "scores.json").read_text()))
    assert (row.benchmark, row.ours, row.best, row.questions) == ("colours: Colours", 25.0, 50.0, 7)
    assert main(["report", str(out)]) == 0
    assert "colours: Colours" in (out / "report.md").read_text()


def test_a_suite_without_a_harness_says_so(colours, model_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "moai.evaluation.lmms.run", types.SimpleNamespace(prepare=lambda *_: None))
    given = ["--model", str(model_folder), "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main(["run", "colours", "--harness", *given]) == 2
    assert "colours does not run through lmms-eval; leave out --harness" in capsys.readouterr().err
