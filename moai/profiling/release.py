"""The released model from its hub id to an answer, at full size and with random weights, on this machine.

python -m moai.profiling.release --folder DIR [--out FILE.json]

Writes a repository of the authors' layout into DIR, serves it here by the hub's protocol, fetches and converts it by
its id: once until it is killed, once to the end with a connection that breaks; then loads it and asks one question.
DIR needs room for twice the model and one of its files, 40 GB.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from moai.profiling.hub_server import HubServer
from moai.terminal import Parser, guarded

NAME = "BK-Lee/MoAI-7B"
GIB = 2**30
SHARD = 4 * 10**9
PICTURE = Path("examples") / "street.png"
QUESTION = "What does the sign say?"


class Memory(threading.Thread):
    """Follows what this process holds: `resident` at most, mapped files included, and `own` without them, in GiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.resident = self.own = 0.0
        self.start()

    def run(self) -> None:
        while True:
            told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            self.resident, own = (int(told[name].split()[0]) * 1024 / GIB for name in ("VmHWM", "RssAnon"))
            self.own = max(self.own, own)
            time.sleep(0.02)


def part(name: str) -> dict:
    """What a child process does: "convert" fetches and converts, "answer" loads and asks. Returns its figures."""
    memory, started = Memory(), time.monotonic()
    from moai.models.released import folder_of

    figures: dict = {}
    if name == "convert":
        imported = time.monotonic()
        folder = folder_of(NAME)
        figures["bytes"] = sum(file.stat().st_size for file in folder.iterdir())
    else:
        import torch

        from moai.assistant import MoAI
        from perception import Perception

        imported = time.monotonic()
        folder_of(NAME)
        figures["found"] = time.monotonic() - imported
        assistant = MoAI.from_pretrained(NAME, perception=Perception(experts=()))
        figures["loaded"] = time.monotonic() - imported - figures["found"]
        said = assistant.ask(PICTURE, QUESTION, max_new_tokens=8)
        figures |= {"device": str(assistant.device), "characters": len(said.text)}
        if assistant.device.type == "cuda":
            figures["device_memory"] = torch.cuda.max_memory_allocated() / GIB
    figures |= {"seconds": time.monotonic() - imported, "imports": imported - started}
    time.sleep(0.05)
    return figures | {"resident": memory.resident, "own": memory.own}


def child(name: str, environment: dict[str, str]) -> subprocess.Popen:
    """A process of its own that does one part and prints its figures."""
    command = [sys.executable, "-m", "moai.profiling.release", "--part", name]
    return subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)


def in_child(name: str, environment: dict[str, str]) -> dict:
    """The figures of a part that a process of its own did; ChildProcessError when it failed."""
    process = child(name, environment)
    out, _ = process.communicate()
    if process.returncode:
        raise ChildProcessError(f"the part {name} failed")
    return json.loads(out.splitlines()[-1])


def killed_behind_one_file(process: subprocess.Popen, home: Path) -> float:
    """Waits until the first file is converted, kills the process, and returns the seconds from the beginning."""
    started = time.monotonic()
    while process.poll() is None and not list(home.rglob("*.partial/model-*.safetensors")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return time.monotonic() - started


def fetch(folder: Path, sizes: dict | None = None, shard: int = SHARD, run_part=in_child) -> dict[str, dict]:
    """Figures of writing, fetching and converting; `folder` then has `home`, for MOAI_HOME, with the result.

    run_part: does the part that is not killed.
    """
    from moai.profiling.random_release import write_release

    source, home = folder / "repository", folder / "home"
    for old in (source, home, folder / "hub"):
        shutil.rmtree(old, ignore_errors=True)
    started = time.monotonic()
    parameters = write_release(source, sizes, shard)
    steps: dict[str, dict] = {"written": {"seconds": time.monotonic() - started, "parameters": parameters}}
    last = max(file.name for file in source.glob("*.safetensors"))
    with HubServer({NAME: source}) as hub:
        environment = {
            "HF_ENDPOINT": hub.address,
            "HF_HUB_CACHE": str(folder / "hub"),
            "MOAI_HOME": str(home),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        steps["killed"] = {"seconds": killed_behind_one_file(child("convert", environment), home)}
        steps["killed"]["asked for"] = asked_for(hub)
        hub.sent.clear()
        hub.drops = {last: (source / last).stat().st_size // 2}
        steps["converted"] = run_part("convert", environment)
        steps["converted"]["asked for"] = asked_for(hub)
    return steps


def answer(folder: Path) -> dict[str, dict]:
    """Figures of loading what `fetch` left and of asking it, without a hub."""
    environment = {"HF_HUB_OFFLINE": "1", "MOAI_HOME": str(folder / "home")}
    return {"answered": in_child("answer", environment)}


def asked_for(hub: HubServer) -> list[str]:
    """The files of weights that were asked for, with the place from which on where that is not the beginning."""
    weights = [(file, first) for file, first in list(hub.sent) if file.endswith(".safetensors")]
    return [f"{file} from {first / GIB:.1f} GiB" if first else file for file, first in weights]


def table(steps: dict[str, dict]) -> str:
    """The figures, a line for each step."""
    lines = [f"{'step':12} {'s':>7} {'peak GiB':>9} {'own GiB':>8}  what"]
    for name, step in steps.items():
        memory = [f"{step[key]:.1f}" if key in step else "" for key in ("resident", "own")]
        rest = {key: value for key, value in step.items() if key not in ("seconds", "resident", "own")}
        told = ", ".join(
            f"{key} {f'{value:.1f}' if isinstance(value, float) else value}" for key, value in rest.items()
        )
        lines.append(f"{name:12} {step['seconds']:7.1f} {memory[0]:>9} {memory[1]:>8}  {told}")
    return "\n".join(lines)


def run(argv: list[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="python -m moai.profiling.release", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where there is room for two models and one file")
    parser.add_argument("--sizes", type=Path, help="JSON file of other sizes, see `moai convert` (default: MoAI-7B)")
    parser.add_argument("--shard", type=int, default=SHARD, help="bytes of a file (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--part", choices=("convert", "answer"), help="for the processes that this one starts")
    arguments = parser.parse_args(argv)
    if arguments.part:
        print(json.dumps(part(arguments.part)))
        return
    if arguments.folder is None:
        raise ValueError("--folder is missing: where there is room for two models and one file")
    sizes = None if arguments.sizes is None else json.loads(arguments.sizes.read_text())
    steps = fetch(arguments.folder, sizes, arguments.shard) | answer(arguments.folder)
    print(table(steps))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(steps, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(guarded(run, "python -m moai.profiling.release"))
