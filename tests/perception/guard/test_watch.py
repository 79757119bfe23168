"""Experts that hang, or that end the program: the answer comes without them, and nothing waits for them."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from perception import Detection, Perception, TextLine
from perception.guard.watch import MAX_HUNG, Hangs, Threads, Watch

ROOT = Path(__file__).parents[3]
PICTURE = np.full((48, 72, 3), 90, np.uint8)
LIMIT = 0.3


def see(picture, scene):
    scene.detections = [Detection("cat", (0, 0, 1, 1), 0.9)]


@pytest.fixture
def release():
    """Lets go what a test made hang."""
    event = threading.Event()
    yield event
    event.set()


def test_an_expert_that_hangs_is_a_warning(release):
    def hang(picture, scene):
        scene.text_lines = [TextLine("half", 0.9)]
        release.wait(60)

    perception = Perception("det,ocr", detection=see, ocr=hang, time_limit=LIMIT)
    for number in range(MAX_HUNG):
        scene = perception(PICTURE + number)
        assert scene.warnings == ["OCR failed: it was still at work after 0.3 seconds and is not waited for"]
        assert len(scene.detections) == 1 and scene.text_lines == []
        assert list(scene.timings) == ["detection", "ocr", "total"] and scene.timings["ocr"] >= LIMIT - 0.1
    # Nobody waits any more for one that hangs again and again.
    scene = perception(PICTURE + 100)
    assert scene.warnings == ["OCR failed: it still hangs at 3 earlier pictures"] and len(scene.detections) == 1


def test_a_hang_is_over_when_the_call_ends(release):
    stuck = threading.Event()

    def hang_at_dark(picture, scene):
        if picture.max() < 100:
            stuck.set()
            release.wait(60)
        scene.text_lines = [TextLine("read", 0.9)]

    perception = Perception("ocr", ocr=hang_at_dark, time_limit=LIMIT)
    late = perception(PICTURE)
    assert late.warnings and stuck.is_set()
    assert [one.text for one in perception(PICTURE + 100).text_lines] == ["read"]
    release.set()
    assert [one.text for one in perception(PICTURE).text_lines] == ["read"]  # it was not remembered
    assert late.text_lines == []


def test_what_waits_for_one_that_hangs_says_so(release):
    perception = Perception("det,sgg", detection=lambda *_: release.wait(60), scene_graph=see, time_limit=LIMIT)
    assert perception(PICTURE).warnings[1] == "the scene graph failed: it needs detection, which failed"


class Stuck:
    """An expert whose lock is never let go once it hung, as that of a network."""

    made = 0

    def __init__(self, release):
        self.lock, self.release, self.number = threading.Lock(), release, Stuck.made
        Stuck.made += 1

    def __call__(self, picture, scene):
        with self.lock:
            if picture.max() < 100:
                self.release.wait(60)
            see(picture, scene)


def test_one_that_hangs_with_its_lock_is_built_anew(release, monkeypatch):
    perception = Perception("det", experts_from={"detection": "nanodet:embedded:nanodet"}, time_limit=LIMIT)
    monkeypatch.setattr(type(perception._builder), "_build", lambda self, kind, entry: Stuck(release))
    assert perception(PICTURE).warnings
    assert perception(PICTURE + 100).warnings == [] and Stuck.made == 2


def test_loading_is_not_the_work_on_a_picture():
    class Slow:
        loaded = False

        def load(self):
            if not self.loaded:
                threading.Event().wait(2 * LIMIT)
            self.loaded = True

        def __call__(self, picture, scene):
            assert self.loaded
            see(picture, scene)

    assert Perception("det", detection=Slow(), time_limit=LIMIT)(PICTURE).warnings == []


def test_calls_that_wait_for_each_other_have_time_for_all(release):
    watch, turn = Watch(1.0), threading.Lock()

    def work():
        with turn:
            release.wait(0.4)

    calls = [watch.start("ocr", work) for _ in range(4)]  # the last ends after 1.6 s
    assert [watch.finish(call).error for call in calls] == [None] * 4
    with pytest.raises(Hangs):
        watch.finish(watch.start("ocr", lambda: release.wait(60)))


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), BaseException("odd")])
def test_an_expert_ends_no_program(error):
    def leave(picture, scene):
        raise error

    scene = Perception("det,ocr", detection=see, ocr=leave)(PICTURE)
    assert scene.warnings == [f"OCR failed: it tried to end the program ({type(error).__name__})"]
    assert len(scene.detections) == 1


def test_an_interrupt_is_no_failure():
    def interrupt(picture, scene):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Perception("ocr", ocr=interrupt)(PICTURE)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Mute(), "Mute"),
        (OSError(), "OSError"),
        (ValueError("\ud83d broken"), "? broken"),
        (ValueError("x" * 9999), "xxx..."),
    ],
)
def test_any_error_is_a_short_sentence(error, says):
    def fail(picture, scene):
        raise error

    (warning,) = Perception("ocr", ocr=fail)(PICTURE).warnings
    assert warning.endswith(says) and len(warning) < 500
    warning.encode()


def test_a_preparation_that_hangs_is_not_waited_for(release):
    class Slow:
        def prepare(self, pictures):
            release.wait(60)

        def __call__(self, picture, scene):
            see(picture, scene)

    scenes = Perception("det", detection=Slow(), time_limit=LIMIT).batch([PICTURE, PICTURE + 1])
    assert [len(scene.detections) for scene in scenes] == [1, 1]


def test_threads_are_used_again_and_keep_the_order():
    threads, names = Threads("test"), set()

    def call(number):
        names.add(threading.current_thread())
        return number * number

    for _ in range(20):
        assert threads.each(call, range(10), 3) == [number * number for number in range(10)]
    assert len(names) <= 3
    with pytest.raises(ZeroDivisionError):
        threads.each(lambda number: 1 / number, [1, 0], 2)
    assert threads.each(call, [], 3) == []


HANGING = """
import threading, numpy as np
from perception import Perception
hang = lambda picture, scene: threading.Event().wait()
scene = Perception("ocr", ocr=hang, time_limit=0.2)(np.zeros((9, 9, 3), np.uint8))
print(*scene.warnings)
"""


def test_one_that_hangs_does_not_hold_up_the_end():
    run = subprocess.run([sys.executable, "-c", HANGING], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert run.returncode == 0 and "OCR failed" in run.stdout, run.stderr


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_a_time_limit_is_seconds(limit):
    with pytest.raises(ValueError, match="time limit"):
        Perception(time_limit=limit)
