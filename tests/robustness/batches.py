"""`moai batch` killed at random moments (SIGKILL) and gone on with: every row once, as of a job that was left alone."""

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

from tests.conftest import save_tiny, tiny_processor, tiny_tokenizer
from tests.robustness.pictures import pictures
from tests.robustness.started import ROOT
from tests.robustness.tally import Tally

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
                with _started(folder, model, out) as job:
                    try:
                        job.wait(chance.uniform(0.2, 1) * whole)
                    except subprocess.TimeoutExpired:
                        job.send_signal(signal.SIGKILL)
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


def _started(folder: Path, model: Path, out: str) -> subprocess.Popen:
    words = ["batch", folder / "rows.jsonl", "--out", folder / out, "--model", model, "--experts", "ocr"]
    words += ["--max-new-tokens", 4, "--batch-size", 4]
    command = [sys.executable, "-m", "moai", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    log = (folder / "log").open("a")
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def _end(folder: Path, model: Path, out: str) -> list[dict]:
    """Goes on to the end; its rows without times, in order."""
    with _started(folder, model, out) as job:
        if job.wait(_PATIENCE):
            raise RuntimeError(f"status {job.returncode}: {(folder / 'log').read_text()[-400:]!r}")
    rows = [json.loads(line) for line in (folder / out / "answers.jsonl").read_bytes().split(b"\n") if line]
    for row in rows:
        row.pop("timings", None)
        row.get("evidence", {}).get("scene", {}).pop("timings", None)
    return rows
