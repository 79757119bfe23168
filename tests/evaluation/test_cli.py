"""`python -m benchmarks`: what it prints, writes and refuses."""

import json
import os
import sys
from pathlib import Path

import pytest

from moai.assistant import MoAI
from moai.evaluation.catalogue import BENCHMARKS, PUBLISHED_SOURCE, known_names
from moai.evaluation.cli import main
from moai.evaluation.judge import Judge
from moai.evaluation.report import headline_rows, write_report
from perception.files.whole import write_json
from tests import warm

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def given_model(monkeypatch, assistant):
    monkeypatch.setattr(MoAI, "from_pretrained", classmethod(lambda *_, **__: assistant))
    monkeypatch.setattr("moai.terminal.quiet_libraries", lambda: None)


def test_list_names_everything(capsys):
    assert main(["list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == known_names()
    assert listed == ["drawn", "q-bench", "scienceqa-img", "textvqa", "pope", "mme", "mmbench", "mmbench-cn", "mm-vet",
                      "ai2d", "seed-img", "mathvista", "hallusionbench"]  # fmt: skip


def test_run_and_report(capsys, tmp_path):
    assert main(["run", "drawn", "--limit", "2", "--out", str(tmp_path)]) == 0
    assert "| pope / accuracy |" in capsys.readouterr().out
    assert main(["report", str(tmp_path)]) == 0
    assert "| drawn: POPE accuracy |" in capsys.readouterr().out
    assert (tmp_path / "report.md").is_file()
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "popes"], "there is no benchmark 'popes'; known are drawn, q-bench"),
        (["run", "drawn", "--limit", "0"], "--limit must be at least 1"),
        (["run", "drawn", "--batch-size", "0", "--out", "{}"], "batch size must be at least 1"),
        (["run", "drawn", "--scenes", "0", "--out", "{}"], "number of scenes"),
        (["ablate", "--seeds", "0", "--out", "{}"], "number of seeds"),
        (["report", "{}"], "holds no scores; give a folder that `run` wrote"),
        (["report", "{}/absent"], "holds no scores"),
    ],
)
def test_mistakes_get_one_sentence(capsys, tmp_path, words, message):
    assert main([word.replace("{}", str(tmp_path)) for word in words]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1


def test_a_damaged_result_is_refused(tmp_path, capsys):
    (tmp_path / "scores.json").write_text("{")
    assert main(["report", str(tmp_path)]) == 2
    assert "is not a result that `run` wrote" in capsys.readouterr().err


def result(name: str, **scores) -> dict:
    return {"benchmark": name, "model": "tiny", "limit": None, "scores": {"questions": 5} | scores}


def test_published_figures_stand_beside_ours_and_are_marked(tmp_path):
    write_json(tmp_path / "scores.json", result("mme", perception=1500.0, cognition=300.0))
    text = write_report([tmp_path], tmp_path / "report")
    assert f"MoAI-7B ({PUBLISHED_SOURCE})" in text and "not measured here" in text
    assert "| MME (perception and cognition) | perception | 5 | tiny | 1500.0 | 1714.0 |" in text
    assert "| MME (perception and cognition) | cognition | 5 | tiny | 300.0 | 561.0 |" in text
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert written["headlines"][0]["best"] == 2000.0 and written["published_source"] == PUBLISHED_SOURCE


def test_the_published_figures_are_those_of_the_authors():
    figures = {name: one.published for name, one in BENCHMARKS.items() if one.published}
    assert figures == {
        "q-bench": (70.2,), "scienceqa-img": (83.5,), "textvqa": (67.8,), "pope": (87.1,), "mme": (1714.0, 561.0),
        "mmbench": (79.3,), "mmbench-cn": (76.5,), "mm-vet": (43.7,),
    }  # fmt: skip


def test_a_judged_result_without_a_judge_has_no_headline():
    assert headline_rows(result("mm-vet")) == []


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://"])
def test_a_judge_needs_a_url(url):
    with pytest.raises(ValueError, match="is no URL of a judge"):
        Judge(url, "gpt")


def test_a_judge_that_is_away_is_told():
    with pytest.raises(ValueError, match=r"gave no answer .* what it judged is kept"):
        Judge("http://127.0.0.1:9/v1", "gpt").ask("?")


def test_drawn_needs_no_optional_dependency():
    code = (
        "import sys; missing = ('lmms_eval', 'datasets', 'matplotlib'); assert not sys.modules.keys() & set(missing)\n"
        "sys.modules |= dict.fromkeys(missing)\n"
        "import moai.evaluation.cli, moai.evaluation.drawn.run, moai.evaluation.ablation, moai.evaluation.report"
    )
    done = warm.run([sys.executable, "-c", code], ROOT, os.environ, more=False)
    assert done.returncode == 0, done.stderr
