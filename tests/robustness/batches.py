"""`moai batch` killed (SIGKILL), the job at random moments and its workers by some of their rows: every row is there
once, as of a job that was left alone, or says what it did to its workers.

python -m tests.robustness.batches ...

is `moai ...`, whose workers die at every row whose question is DEADLY.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from moai.serving.batch import job, pipeline, stages
from tests.conftest import save_tiny, tiny_processor, tiny_tokenizer
from tests.robustness.pictures import pictures
from tests.robustness.started import ROOT
from tests.robustness.tally import Tally

DEADLY = "Who kills the worker?"
_ROWS = 60
_PATIENCE = 900


def batches(kills: int, seed: int) -> Tally:
    """A job over pictures, some of them malformed, killed `kills` times on its way to its end."""
    tally = Tally("Batch jobs killed", f"kills --kills {kills} --seed {seed}")
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = save_tiny(tiny_processor(tiny_tokenizer()), folder / "model")
        rows = []
        for number, odd in enumerate(pictures(_ROWS, seed)):
            (folder / f"{number}.png").write_bytes(odd.content)
            rows.append({"id": number, "picture": f"{number}.png", "question": "What is this?"})
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        began = time.monotonic()
        expected = _end(folder, model, "alone")
        whole = time.monotonic() - began
        killed = 0
        while killed < kills:
            out = f"run{tally.tried}"
            for _ in range(min(kills - killed, 2)):
                with _started(folder, model, out) as run:
                    try:
                        run.wait(chance.uniform(0.2, 1) * whole)
                    except subprocess.TimeoutExpired:
                        run.send_signal(signal.SIGKILL)
                        killed += 1
                    else:
                        break
            tally.tried += 1
            try:
                got = _end(folder, model, out)
            except RuntimeError as error:
                tally.lose(out, str(error))
                continue
            if len(got) != len(expected) or got != expected:
                told = f"{len(got)} rows, {len({row['row'] for row in got})} of them different, of {len(expected)}"
                tally.lose(out, told)
            else:
                tally.accepted += 1
            shutil.rmtree(folder / out)
        tally.notes.append(f"killed {killed} times")
    return tally


def deadly(count: int, seed: int) -> Tally:
    """`count` rows, of which one in ten kills every worker that takes it: those become errors, others are answered."""
    tally = Tally("Rows that kill workers", f"kills --seed {seed}", tried=count)
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = save_tiny(tiny_processor(tiny_tokenizer()), folder / "model")
        shutil.copy(ROOT / "examples" / "street.png", folder)
        bad = set(chance.sample(range(count), max(count // 10, 1)))
        rows = [
            {"id": one, "picture": "street.png", "question": DEADLY if one in bad else "What is this?"}
            for one in range(count)
        ]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        got = _end(folder, model, "out", __name__)
    if [row["row"] for row in got] != list(range(count)):
        tally.lose("rows", f"{len(got)} of {count}, or in another order")
    for row in got:
        if row["row"] not in bad and "answer" in row:
            tally.accepted += 1
        elif row["row"] in bad and row.get("error") == job.DEADLY:
            tally.refused += 1
        else:
            tally.lose(f"row {row['row']}", str(row.get("error", "was answered")))
    return tally


class _Dies(stages.Both):
    def __call__(self, works):
        if any(work.row.question == DEADLY for work in works):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(works)


def _started(folder: Path, model: Path, out: str, module: str = "moai") -> subprocess.Popen:
    words = ["batch", folder / "rows.jsonl", "--out", folder / out, "--model", model, "--experts", "ocr"]
    words += ["--max-new-tokens", 4, "--batch-size", 4]
    command = [sys.executable, "-m", module, *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    log = (folder / "log").open("a")
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def _end(folder: Path, model: Path, out: str, module: str = "moai") -> list[dict]:
    """Goes on to the end; its rows without times, in order."""
    with _started(folder, model, out, module) as run:
        if run.wait(_PATIENCE):
            raise RuntimeError(f"status {run.returncode}: {(folder / 'log').read_text()[-400:]!r}")
    rows = [json.loads(line) for line in (folder / out / "answers.jsonl").read_bytes().split(b"\n") if line]
    for row in rows:
        row.pop("timings", None)
        row.get("evidence", {}).get("scene", {}).pop("timings", None)
    return rows


if __name__ == "__main__":
    from moai.cli.main import main

    pipeline.Both = _Dies
    raise SystemExit(main())
