"""Speed of the experts, and of the embedded model from picture to answer."""

import statistics
import subprocess
import sys
import time

import numpy as np

from moai.assistant import MoAI
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.data.splits import EXPERT_SPEED
from moai.profiling.model import Setup
from perception import Perception, Scene

BATCHES = (1, 8)
QUESTIONS = ("What does the sign say?", "How many cars are there?", "Is there a dog?", "Describe the picture.")
_FIRST_SEED = EXPERT_SPEED.start


def drawn(count: int, first: int) -> list[np.ndarray]:
    """`count` pictures that no one has seen before, so that nothing is remembered of them."""
    return [render(sample_layout(_FIRST_SEED + first + index)).image for index in range(count)]


def measure_perception(setup: Setup) -> None:
    """Pictures a second of the experts side by side, and milliseconds of each, for one picture and batches.

    Networks run on the CPU and, on a machine with one, on the CUDA device.
    """
    for device in dict.fromkeys(("cpu", setup.device.type)):
        perception = Perception(cache_size=0, device=device)
        first = 0
        for size in BATCHES:
            seconds, scenes = [], []
            for _ in range(setup.repeats + 1):
                pictures = drawn(size, first)
                first += size
                started = time.perf_counter()
                scenes = perception.batch(pictures)
                seconds.append(time.perf_counter() - started)
            _report(setup, device, size, statistics.median(seconds[1:]), scenes)
            if setup.late:
                return


def _report(setup: Setup, device: str, size: int, seconds: float, scenes: list[Scene]) -> None:
    setup.add("perception", f"{device}, {size} at once", size / seconds, "pictures/s")
    if size == 1:
        for name, taken in scenes[0].timings.items():
            setup.add("perception", f"{device}: {name}", 1000 * taken, "ms")
    for warning in sorted({warning for scene in scenes for warning in scene.warnings}):
        print(f"perception   {warning}", flush=True)


def measure_answers(setup: Setup) -> None:
    """The embedded model: seconds to start in a fresh process, and for a warm question about a new picture."""
    place = setup.device.type
    command = f"from moai import MoAI; MoAI.from_pretrained(device={place!r})"
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", command], check=True, capture_output=True)
    setup.add("answers", "start of a process, model loaded", time.perf_counter() - started, "s")
    assistant = MoAI.from_pretrained(device=place)
    assistant.ask(drawn(1, 1000)[0], QUESTIONS[0])
    taken = []
    for index in range(setup.repeats):
        answer = assistant.ask(drawn(1, 1001 + index)[0], QUESTIONS[index % len(QUESTIONS)])
        taken.append(answer.timings["total"])
    setup.add("answers", "warm question about a new picture", statistics.median(taken), "s")
    encoded = assistant.encode(drawn(1, 2000)[0])
    again = [assistant.ask(encoded, question).timings["generate"] for question in QUESTIONS]
    setup.add("answers", "another question about it", statistics.median(again), "s")
