"""`moai batch` on Ray: answers are those of `ask`, whatever dies meanwhile."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image

from moai import MoAI
from moai.serving.batch import job
from moai.serving.batch.inputs import source_of
from moai.serving.batch.pipeline import Problem, _Stage, packed, unpacked
from moai.serving.batch.stages import Answers, Asking, _prepare
from moai.serving.cluster import own_folder, ray_package
from perception.networks.onnx import cores
from tests.serving.on_ray import EXPERTS, processes_of

ROOT = Path(__file__).parents[3]
ROWS = 150

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture(autouse=True)
def loud_again():
    """Commands and workers quiet libraries; the other tests want to hear them."""
    before = logging.root.manager.disable
    yield
    logging.disable(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four pictures, and questions about them; one picture is broken and one row is."""
    folder = tmp_path_factory.mktemp("batch")
    for number, name in enumerate(("astronaut", "chelsea", "coffee", "rocket")):
        picture = Image.fromarray(getattr(skimage.data, name)())
        picture.resize((160 + 30 * number, 200 - 20 * number)).save(folder / f"{number}.png")
    (folder / "4.png").write_bytes(b"no picture")
    (folder / "experts.yaml").write_text(EXPERTS)
    questions = ("Why?", "Where is it?", "What does the sign say?")
    rows = [{"id": row, "picture": f"{row % 5}.png", "question": questions[row % 3]} for row in range(ROWS)]
    lines = [json.dumps(row) for row in rows]
    lines[7] = "{"
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def asking(folder, model_folder):
    return Asking(str(model_folder), experts_from=str(folder / "experts.yaml"), max_new_tokens=12, batch=4)


@pytest.fixture(scope="module")
def killed(folder, asking, cluster):
    """The folder of a job that was killed when it had written something."""
    words = ["--out", folder / "run", "--model", asking.model, "--experts-from", asking.experts_from]
    words += ["--max-new-tokens", asking.max_new_tokens, "--batch-size", asking.batch, "--address", cluster.address]
    command = [sys.executable, "-m", "moai", "batch", folder / "rows.jsonl", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen([str(word) for word in command], cwd=ROOT, env=environment, stderr=subprocess.PIPE) as job:
        until(lambda: job.poll() is not None or list((folder / "run/parts").glob("*.jsonl")))
        assert job.poll() is None, job.stderr.read()
        job.kill()
    return folder / "run"


def until(there, seconds: float = 240):
    """Waits for processes, which give no other sign."""
    limit = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_killed_job_goes_on_and_outlives_a_worker_and_a_node(folder, asking, killed, cluster):
    parts = {path.name: path.read_bytes() for path in (killed / "parts").glob("*.jsonl")}
    assert parts
    heard = []

    def told(done, rows):
        heard.append(done)
        if len(heard) == 2:  # the first row that comes
            for worker in processes_of(cluster.head_node, "MapWorker"):
                os.kill(worker.pid, signal.SIGKILL)
        if done == ROWS // 2:
            cluster.remove_node(*cluster.worker_nodes, allow_graceful=False)

    summary = job.answer_all(folder / "rows.jsonl", killed, asking, told=told)
    assert summary.rows == ROWS and summary.new == ROWS - sum(text.count(b"\n") for text in parts.values())
    assert heard == list(range(heard[0], ROWS + 1))
    rows = [json.loads(line) for line in summary.answers.read_text().splitlines()]
    assert [row["row"] for row in rows] == list(range(ROWS))
    for text in parts.values():
        assert text in summary.answers.read_bytes()
    assistant = MoAI.from_pretrained(asking.model, experts_from=asking.experts_from, device="cpu")
    answers = {}
    for row in rows:
        if row["row"] == 7:
            assert row == {"row": 7, "error": row["error"]} and "line 8 of rows.jsonl" in row["error"]
        elif row["picture"] == "4.png":
            assert "is not a picture in a known format" in row["error"] and "answer" not in row
        else:
            key = row["picture"], row["question"]
            if key not in answers:
                answers[key] = assistant.ask(folder / key[0], key[1], max_new_tokens=12)
            expected = json.loads(json.dumps(answers[key].scene.to_dict() | {"timings": 0}))
            assert row["id"] == row["row"] and row["answer"] == answers[key].text
            assert row["evidence"]["scene"] | {"warnings": row["warnings"], "timings": 0} == expected
            assert set(row["timings"]) == {"load", "perception", "encode", "generate"}
    assert len({row.get("answer") for row in rows}) > 3
    again = job.answer_all(folder / "rows.jsonl", killed, asking)
    assert again.new == 0 and not (killed / "parts").exists()


def test_a_model_that_cannot_be_loaded_is_one_sentence(asking, tmp_path):
    broken = shutil.copytree(asking.model, tmp_path / "model")
    (broken / "model.safetensors").write_bytes(b"nothing")
    stage = _Stage(Answers, (replace(asking, model=str(broken)), ()))
    (told,) = unpacked(stage(packed([])))
    assert isinstance(told, Problem) and told.sentence.startswith(f"no MoAI model could be loaded from '{broken}'")
    after = _Stage(list, ())
    assert unpacked(after(packed([told]))) == [told]


def test_a_row_at_which_workers_die_is_an_error(folder, asking, monkeypatch):
    asked = []

    def lines(ray, missing, way, *_):
        asked.append((way.batch, [one for _, wanted in missing for part in wanted for one in part]))
        return ((row, b"%d" % row) for row in asked[-1][1] if row not in (3, 20) and (row != 21 or way.batch == 1))

    monkeypatch.setattr(job, "lines", lines)
    missing = job._missing(source_of(folder / "rows.jsonl"), 16, {0, *range(2, 10)} - {0})
    told = dict(job._every_line(None, missing, asking, (), None, ROWS))
    assert sorted(told) == list(range(32)) and asked[1] == (1, [3, 20, 21])
    assert told[21] == b"21" and json.loads(told[3]) == {
        "row": 3,
        "id": 3,
        "picture": "3.png",
        "question": "Why?",
        "error": job.DEADLY,
    }
    monkeypatch.setattr(job, "lines", lambda *_: iter(()))
    assert len(dict(job._every_line(None, missing, asking, (), None, ROWS))) == 32
    monkeypatch.setattr(job, "FEW", 31)
    with pytest.raises(ValueError, match="the workers died before they answered anything"):
        list(job._every_line(None, missing, asking, (), None, ROWS))


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    threads = torch.get_num_threads()
    _prepare(Asking(threads=1))
    assert torch.get_num_threads() == cores() == 1
    torch.set_num_threads(threads)


def test_folders_of_killed_processes_go():
    with own_folder() as folder:
        left = Path(f"{folder}x")
        left.mkdir()
        (left / "lock").touch()
        with own_folder() as other:
            assert Path(folder).is_dir() and Path(other).is_dir() and not left.exists()
    assert not Path(folder).exists() and not Path(other).exists()


def test_ray_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"moai batch needs the package ray; pip install 'moai-vlm\[cluster\]'"):
        ray_package("moai batch")
