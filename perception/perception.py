"""Perception: builds the experts, runs them side by side, and remembers the pictures it has seen."""

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from perception.expert import Expert, ExpertUnavailable, prepare
from perception.images import load_image
from perception.kinds.kind import Kind
from perception.ocr import BACKENDS as OCR_BACKENDS
from perception.ocr import build_ocr
from perception.registry import expert_names, kind, kinds
from perception.scene import Scene

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
MAX_CACHED_BYTES = 256 * 2**20
MAX_AT_ONCE = 16
"""Pictures that networks look at in one pass."""
SIDE_BY_SIDE = 8
"""Pictures of a batch that are on their way at once, where several experts can look at several."""


class Perception:
    """Looks at a picture with several experts and returns one Scene. Safe to call from several threads.

    `experts`: names as `expert_names` takes them. `segmentation` and `detection`: None for the embedded network, or
    the folder, path or name of other YOLO weights, or an object of the shape of `perception.expert.Expert`.
    `ocr`: "rapidocr", "paddleocr" or an Expert. `scene_graph`: None for the embedded head, the folder of another, or
    an Expert. `others`: Experts of kinds beside these, by name. `weights`: folder with `detector/` and `relations/`.
    `cache_size`: pictures remembered (0: none).
    `device` for the networks, as torch names it; None lets ultralytics choose. Experts load at the first picture;
    what is missing then is told in `Scene.warnings`. Raises ValueError for unknown names.
    """

    def __init__(
        self,
        experts: Sequence[str] | str | None = None,
        segmentation: str | Path | Expert | None = None,
        detection: str | Path | Expert | None = None,
        ocr: str | Expert = "rapidocr",
        scene_graph: str | Path | Expert | None = None,
        weights: str | Path = WEIGHTS,
        cache_size: int = 32,
        device: str | None = None,
        **others: Expert,
    ):
        self.experts = expert_names(experts)
        if isinstance(ocr, str) and ocr not in OCR_BACKENDS:
            raise ValueError(f"unknown OCR backend {ocr!r}; allowed are {', '.join(OCR_BACKENDS)}")
        self._given = {"segmentation": segmentation, "detection": detection, "ocr": ocr, "scene_graph": scene_graph}
        self._given |= {kind(name).name: expert for name, expert in others.items()}
        self._weights, self._device = Path(weights), device
        self._networks: dict[str, object] = {}
        self._built: dict[str, Expert] = {}
        self._build_lock = threading.Lock()
        self._cache_size = cache_size
        self._cache: OrderedDict[tuple, Scene] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2 * SIDE_BY_SIDE, thread_name_prefix="expert")
        # A pool of their own: pictures wait for their experts.
        self._images = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="picture")

    def __call__(self, picture, experts: Sequence[str] | str | None = None) -> Scene:
        """The Scene of one picture: a PIL image, an array or whatever `load_image` takes.

        `experts` narrows the experts for this call. An expert that fails leaves its part empty and one sentence in
        `warnings`; `timings` has the seconds of each, "total" among them. Raises ImageError for a bad picture and
        ValueError for an expert that is unknown or was not asked for at construction.
        """
        return self.batch([picture], experts)[0]

    def batch(self, pictures: Sequence, experts: Sequence[str] | str | None = None) -> list[Scene]:
        """The Scenes of several pictures; networks look at up to 16 of them in one pass. Otherwise as a call."""
        names = self._asked(experts)
        arrays = [_pixels(picture) for picture in pictures]
        keys = [(_digest(array), names) for array in arrays]
        scenes = {key: scene for key in keys if (scene := self._remembered(key)) is not None}
        new = {key: array for key, array in zip(keys, arrays, strict=True) if key not in scenes}
        for start in range(0, len(new), MAX_AT_ONCE):
            part = list(new.items())[start : start + MAX_AT_ONCE]
            if len(part) > 1:
                self._prepare([array for _, array in part], names)
            looked = self._images.map(lambda array: self._perceive(array, names), [array for _, array in part])
            for (key, _), (scene, passing) in zip(part, looked, strict=True):
                scenes[key] = scene
                if not passing:
                    self._remember(key, scenes[key])
        # Copies, since a caller may change its scene; masks are shared, being large and never written to.
        return [_copied(scenes[key]) for key in keys]

    def _asked(self, experts) -> tuple[str, ...]:
        if experts is None:
            return self.experts
        names = expert_names(experts)
        for name in names:
            if name not in self.experts:
                raise ValueError(f"the expert {name} was not loaded; loaded are {', '.join(self.experts) or 'none'}")
        return names

    def _prepare(self, pictures: list[np.ndarray], names: tuple[str, ...]) -> None:
        for name in names:
            try:
                prepare(self._expert(name), pictures)
            except Exception:
                continue  # the call for each picture meets the same failure, and reports it

    def _perceive(self, picture: np.ndarray, names: tuple[str, ...]) -> tuple[Scene, bool]:
        """The scene, and whether an expert failed in a way that another try may mend."""
        started = time.perf_counter()
        height, width = picture.shape[:2]
        scene = Scene(width, height)
        problems: dict[str, Exception] = {}
        running: dict[str, Future] = {}
        # Those that wait for others come last: nothing then waits in the pool for what has not begun.
        for one in _in_turn(names):
            for other in (*one.needs, *one.after):
                if other in running:
                    running[other].result()
            missing = [other for other in one.needs if other not in names or other in problems]
            if missing:
                why = "failed" if missing[0] in names else "is switched off"
                problems[one.name] = ExpertUnavailable(f"it needs {kind(missing[0]).spoken}, which {why}")
            else:
                running[one.name] = self._pool.submit(self._run, one.name, picture, scene, problems)
        for future in running.values():
            future.result()
        spoken = {one.name: one.spoken for one in kinds()}
        scene.warnings = [f"{spoken[name]} failed: {_sentence(problems[name])}" for name in names if name in problems]
        scene.timings = {name: scene.timings[name] for name in names if name in scene.timings}
        scene.timings["total"] = time.perf_counter() - started
        return scene, not all(isinstance(error, ExpertUnavailable) for error in problems.values())

    def _run(self, name: str, picture: np.ndarray, scene: Scene, problems: dict[str, Exception]) -> None:
        started = time.perf_counter()
        try:
            self._expert(name)(picture, scene)
        except Exception as error:
            problems[name] = error
        scene.timings[name] = time.perf_counter() - started

    def _expert(self, name: str) -> Expert:
        with self._build_lock:
            if name not in self._built:
                self._built[name] = self._build(name)
            return self._built[name]

    def _build(self, name: str) -> Expert:
        given = self._given[name]
        if given is not None and not isinstance(given, (str, Path)):
            return given
        if name == "ocr":
            return build_ocr(given)
        if name == "segmentation":
            from perception.segmentation import YoloSegmentation

            return YoloSegmentation(self._network(given))
        if name == "detection":
            from perception.detection import YoloDetection

            return YoloDetection(self._network(given))
        from perception.scene_graph import LearnedSceneGraph

        detection = self._given["detection"]
        network = None if detection is not None and not isinstance(detection, (str, Path)) else self._network(detection)
        return LearnedSceneGraph(given or self._weights / "relations", network)

    def _network(self, source: str | Path | None):
        """The network behind a source; experts that name the same source share it."""
        from perception.yolo import Yolo

        source = str(source or self._weights / "detector")
        if source not in self._networks:
            self._networks[source] = Yolo(source, device=self._device)
        return self._networks[source]

    def _remembered(self, key: tuple) -> Scene | None:
        with self._cache_lock:
            if key in self._cache:
                self._cache.move_to_end(key)
            return self._cache.get(key)

    def _remember(self, key: tuple, scene: Scene) -> None:
        if not self._cache_size:
            return
        with self._cache_lock:
            self._cache[key] = scene
            while self._cache and (
                len(self._cache) > self._cache_size
                or sum(_mask_bytes(one) for one in self._cache.values()) > MAX_CACHED_BYTES
            ):
                self._cache.popitem(last=False)


def _in_turn(names: Sequence[str]) -> list[Kind]:
    """The kinds of these names, each after those that it waits for."""
    left, ordered = [kind(name) for name in names], []
    while left:
        waiting = {one.name for one in left}
        ready = [one for one in left if waiting.isdisjoint((*one.needs, *one.after))]
        ordered += ready
        left = [one for one in left if one not in ready]
    return ordered


def _pixels(picture) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    return np.asarray(load_image(picture))


def _digest(picture: np.ndarray) -> str:
    from perception.yolo import image_key

    return image_key(picture)


def _mask_bytes(scene: Scene) -> int:
    return sum(one.mask.nbytes for one in scene.segments if one.mask is not None)


def _copied(scene: Scene) -> Scene:
    copied = copy.copy(scene)
    for name in ("segments", "detections", "relations", "text_lines"):
        setattr(copied, name, [copy.copy(one) for one in getattr(scene, name)])
    for name in ("objects", "object_boxes", "warnings"):
        setattr(copied, name, list(getattr(scene, name)))
    copied.timings = dict(scene.timings)
    copied.more = {name: [copy.copy(one) for one in part] for name, part in scene.more.items()}
    return copied


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
