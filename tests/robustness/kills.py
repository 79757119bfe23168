"""Trainings and benchmarks killed at random moments (SIGKILL) and gone on with, until they are through.

python -m tests.robustness.kills --kills 100 --seed 0 FOLDER

prints, for each of both, how often it was killed, how many runs came through, and how many of these lost something, had
something twice, or came to another result than a run that was left alone.
"""

import argparse
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEPS = 5
"""Of a training."""
QUESTIONS = 8
"""Of a benchmark."""
_PATIENCE = 300.0
"""Seconds after which a run counts as hanging."""


@dataclass
class Campaign:
    """What came of it: `kills` in all, over `runs` that came through; the last four are to be 0."""

    name: str
    kills: int = 0
    runs: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0
    stuck: int = 0

    @property
    def faults(self) -> int:
        """Runs that something was wrong with."""
        return self.lost + self.doubled + self.different + self.stuck


def kill(name: str, folder: Path, kills: int, seed: int = 0) -> Campaign:
    """The campaign `name` of `CAMPAIGNS` in a process of its own, which computes nothing itself and so may fork."""
    words = [sys.executable, "-m", __name__, "--only", name, "--kills", str(kills), "--seed", str(seed), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Campaign(**json.loads(done.stdout.strip().splitlines()[-1]))


def campaign(name: str, folder: Path, kills: int, seed: int) -> Campaign:
    """As `kill`, in this process, which must not have computed gradients."""
    work, faults = CAMPAIGNS[name]
    made, chance = Campaign(name), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model"
    if not model.is_dir():
        _wait(_fork(lambda begun: _tiny_model(model), folder / "model.log")[0], _PATIENCE)
    alone = folder / "alone"
    pid, begun = _fork(lambda begun: work(model, alone, begun), folder / "alone.log")
    os.read(begun, 1)
    started = time.monotonic()
    if _wait(pid, _PATIENCE) != 0:
        raise RuntimeError(f"a run that nobody killed failed: {(folder / 'alone.log').read_text()[-2000:]}")
    whole = time.monotonic() - started
    while made.kills < kills:
        _one(made, work, faults, model, alone, folder / f"{name}-{seed}-{made.runs}", whole, chance)
    return made


def _one(made: Campaign, work, faults, model: Path, alone: Path, target: Path, whole: float, chance) -> None:
    """One run, killed several times and then left alone."""
    left, ended = chance.randint(1, 4), None
    while ended is None:
        pid, begun = _fork(lambda begun: work(model, target, begun), target.with_suffix(".log"))
        os.read(begun, 1)  # or nothing, where it ended before it began
        os.close(begun)
        ended = _wait(pid, chance.uniform(0, whole) if left > 0 else _PATIENCE)
        if ended is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            if left <= 0:
                break
            made.kills, left = made.kills + 1, left - 1
    made.runs += 1
    if ended != 0:
        made.stuck += 1
        return
    for fault in faults(target, alone):
        setattr(made, fault, getattr(made, fault) + 1)


def _fork(work: Callable[[int], None], log: Path) -> tuple[int, int]:
    """A child that does `work` and says to `log`; its process id, and where it writes a byte once it has begun."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, read
    code = 1
    try:
        os.close(read)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        work(write)
        code = 0
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _wait(pid: int, seconds: float) -> int | None:
    """The exit code of a child; None when it still runs after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.01)


def _tiny_model(folder: Path) -> None:
    import torch

    from moai.data.drawn.vocabulary import drawn_vocabulary
    from moai.models.modeling import MoAIForConditionalGeneration
    from moai.models.processing import MoAIProcessor
    from moai.training.tokenizer import build_tokenizer
    from tests.conftest import tiny_config

    torch.manual_seed(0)
    processor = MoAIProcessor(build_tokenizer(drawn_vocabulary()), image_size=32, num_image_tokens=64)
    text = tiny_config().text_config
    text.vocab_size, text.max_position_embeddings = len(processor.tokenizer), 512
    text.tie_word_embeddings = False
    token = processor.tokenizer.convert_tokens_to_ids("<image>")
    config = tiny_config(text_config=text, image_token_id=token, tie_word_embeddings=False)
    MoAIForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def train(model: Path, folder: Path, begun: int) -> None:
    """A tiny training, from its newest checkpoint on where it has one."""
    from moai.data.rows import RowSizes
    from moai.training import command, run
    from moai.training.results.checkpoints import checkpoints

    sizes = RowSizes(text=200, turn=48, packed=96, aux=64, questions=2, packed_questions=2, text_rows=1)
    run.RowSizes = lambda: sizes  # type: ignore[misc,assignment]
    words = ["--stage", "language", "--init", model, "--output", folder, "--rows", "1", "--steps", STEPS]
    words += ["--save-every", "1", *(["--resume"] if checkpoints(folder) else [])]
    os.write(begun, b"x")
    if command.main([str(one) for one in words]) != 0:
        raise RuntimeError("training refused")


def faults_of_training(folder: Path, alone: Path) -> Sequence[str]:
    """What is wrong with a training, beside one that was left alone."""
    from safetensors.numpy import load_file

    ours, theirs = (load_file(one / "model.safetensors") for one in (folder, alone))
    steps = [one["step"] for one in json.loads((folder / "training.json").read_text())["log"] if "loss" in one]
    faults = ["doubled"] if len(steps) != len(set(steps)) else []
    if ours.keys() != theirs.keys() or any((ours[name] != theirs[name]).any() for name in ours):
        faults.append("different")
    return faults


def answer(model: Path, folder: Path, begun: int) -> None:
    """A tiny benchmark, whose answers hold what Unicode takes for the end of a line."""
    from moai.assistant import MoAI
    from moai.evaluation.drawn.run import run_drawn
    from perception import Perception
    from perception.registry import expert_names

    class Odd(MoAI):
        def ask_batch(self, *args, **kwargs):
            return [
                dataclasses.replace(one, text=f"{one.text}\u2028\u2029\x85\n")
                for one in super().ask_batch(*args, **kwargs)
            ]

    assistant = Odd.from_pretrained(
        model, device="cpu", perception=Perception(**dict.fromkeys(expert_names(), _nothing))
    )
    os.write(begun, b"x")
    run_drawn(assistant, "tiny", folder, limit=QUESTIONS, batch_size=2, parts=("pope",))


def _nothing(picture, scene) -> None:
    return None


def faults_of_answers(folder: Path, alone: Path) -> Sequence[str]:
    """What is wrong with the answers of a benchmark, beside one that was left alone."""
    ours, theirs = (
        [json.loads(line) for line in (one / "answers.jsonl").read_bytes().split(b"\n") if line]
        for one in (folder, alone)
    )
    keys = [row["key"] for row in ours]
    faults = ["doubled"] if len(keys) != len(set(keys)) else []
    if {row["key"] for row in theirs} - set(keys):
        faults.append("lost")
    by_key = {row["key"]: row for row in theirs}
    scores = [(one / "scores.json").read_text() for one in (folder, alone)]
    if any(by_key.get(row["key"]) != row for row in ours) or scores[0] != scores[1]:
        faults.append("different")
    return faults


CAMPAIGNS = {"training": (train, faults_of_training), "benchmark": (answer, faults_of_answers)}


def main(argv: list[str] | None = None) -> int:
    """Prints a line of JSON for each campaign; 1 where something was wrong."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("folder", type=Path, help="where the runs are kept")
    given.add_argument("--only", choices=CAMPAIGNS)
    given.add_argument("--kills", type=int, default=20)
    given.add_argument("--seed", type=int, default=0)
    arguments = given.parse_args(argv)
    import tests.ready_to_train  # noqa: F401

    faults = 0
    for name in [arguments.only] if arguments.only else CAMPAIGNS:
        made = campaign(name, arguments.folder / name, arguments.kills, arguments.seed)
        print(json.dumps(dataclasses.asdict(made)), flush=True)
        faults += made.faults
    return int(arguments.only is None and faults > 0)


if __name__ == "__main__":
    raise SystemExit(main())
