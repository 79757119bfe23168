"""Checkpoints that are whole: how they come to be on the disk, and which of them training goes on from."""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from perception.files.whole import move_folder

UNFINISHED = "checkpoint.part"
"""The folder, beside the checkpoints, in which one is being written."""
KEPT = 2
"""The newest checkpoints that stay; a damaged one then has one before it."""


class NotKept(ValueError):
    """What training has learned cannot be written; the message is one sentence."""


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rsplit("-", 1)[1])


def checkpoints(output: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first."""
    named = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-\d+")
    return sorted((one for one in output.glob("*") if named.fullmatch(one.name)), key=step_of, reverse=True)


def newest_whole(output: Path) -> Path:
    """The newest checkpoint that can be gone on from; damaged ones are told of. Raises ValueError without one."""
    problems = []
    for checkpoint in checkpoints(output):
        problem = damage(checkpoint)
        if problem is None:
            for told in problems:
                print(f"{told}; going on from {checkpoint.name}", flush=True)
            return checkpoint
        problems.append(f"{checkpoint.name} in {output} is left out, as {problem}")
    told = f": {problems[0]}" if problems else ""
    raise ValueError(f"there is no {'whole ' if problems else ''}checkpoint in {output} to resume from{told}")


def damage(checkpoint: Path) -> str | None:
    """What a checkpoint lacks, in words; None for a whole one."""
    try:
        state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        if not isinstance(state, dict) or state.get("global_step") != step_of(checkpoint):
            return f"its {TRAINER_STATE_NAME} is of another step"
    except (OSError, ValueError, RecursionError):
        return f"its {TRAINER_STATE_NAME} is missing or damaged"
    weights = sorted(checkpoint.glob("*.safetensors"))
    if not weights:
        return "it has no weights"
    for file in weights:
        try:
            with safe_open(file, "pt") as opened:
                opened.keys()
        except (SafetensorError, OSError):
            return f"its {file.name} is damaged"
    for name in ("optimizer.pt", "scheduler.pt"):
        if not (checkpoint / name).is_file():
            return f"its {name} is missing"
    for file in sorted([*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")]):
        if not zipfile.is_zipfile(file):
            return f"its {file.name} is damaged"
    return None


def finish(output: Path, name: str) -> None:
    """Puts the checkpoint that was written in `UNFINISHED` in its place, and drops what is older than `KEPT`."""
    move_folder(output / UNFINISHED / name, output / name)
    shutil.rmtree(output / UNFINISHED, ignore_errors=True)
    for old in checkpoints(output)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def kept(what: str, output: Path) -> Iterator[None]:
    """Turns what keeps files from being written into NotKept with one sentence, which names `what` and the folder."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        # torch's writer of archives says no more than that a stream failed.
        if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in str(error) and "iostream" not in str(error):
            raise
        reason = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())[:120]
        raise NotKept(f"{what} cannot be written to {output} ({reason}); what was there before is kept") from error
