"""Perception: builds the experts, runs them side by side, and remembers the pictures it has seen."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from perception import registry
from perception.builder import Builder
from perception.expert import Expert, ExpertUnavailable, load, prepare
from perception.forks import ProcessBound
from perception.guard.door import admit
from perception.guard.watch import TIME_LIMIT, Call, Hangs, Started, Threads, Watch
from perception.images import MAX_PIXELS, Pixels, pixels_of
from perception.images.room import Room
from perception.kinds.kind import Kind
from perception.memory import Memory, Trim
from perception.presets import DEFAULT, Entry, Preset, entry_of, load_preset, names_backend, trusted
from perception.processes.aside import Aside
from perception.scene import Scene
from weights import WEIGHTS

MAX_CACHED_BYTES = 64 * 2**20
MAX_SENTENCE = 400
"""Characters of what an expert says of its failure."""
MAX_AT_ONCE = 16
"""Pictures that networks look at in one pass."""
SIDE_BY_SIDE = 8
"""Pictures of a batch that are on their way at once, where several experts can look at several."""


class Perception(ProcessBound):
    """Looks at a picture with several experts and returns one Scene. Safe to call from several threads.

    `experts`: names as `perception.registry.expert_names` takes them; None means all that there are. `experts_from`:
    which backends and weights run them, as `perception.presets.load_preset` takes it: the name of a preset, a YAML
    file or a mapping. `given` replaces single experts of it, by kind: an object of the shape of
    `perception.expert.Expert`, BACKEND or BACKEND:WEIGHTS, other weights for the preset's backend, or a mapping as in a
    preset.
    `weights`: folder of the embedded weights. `cache_size`: pictures remembered (0: none). `device` for the networks,
    as torch names it; None lets each choose. `time_limit`: seconds that an expert may take for a picture, once it is
    loaded; then the scene comes without it, with a warning (None: it may take for ever). `trust_pickles`: weights may
    run the code that they hold, wherever a backend asks.

    Experts load at the first picture; what is missing then is told in `Scene.warnings`. Pickles and copies, and forked
    children, load theirs anew. Raises ValueError with one sentence for unknown names.
    """

    def __init__(
        self,
        experts: Sequence[str] | str | None = None,
        *,
        experts_from: str | Path | Mapping = DEFAULT,
        weights: str | Path = WEIGHTS,
        cache_size: int = 32,
        device: str | None = None,
        time_limit: float | None = TIME_LIMIT,
        trust_pickles: bool = False,
        **given: Any,
    ):
        if time_limit is not None and not 0 < time_limit < float("inf"):
            raise ValueError(f"the time limit of experts is {time_limit!r}; it must be seconds above 0, or None")
        preset = load_preset(experts_from, weights)
        entries: dict[str, Entry | Expert] = dict(preset.entries)
        for kind, one in given.items():
            if one is not None:
                entries[registry.kind(kind).name] = _entry(kind, one, preset)
        if trust_pickles:
            entries = {kind: trusted(one) if isinstance(one, Entry) else one for kind, one in entries.items()}
        self.experts_from = preset.name
        self.experts = _asked(experts, [one.name for one in registry.kinds() if one.name in entries], preset.name)
        self.device = device
        self._builder = Builder(entries, device)
        self.cache_size = cache_size
        self.time_limit = time_limit
        super().__init__()

    _cache: Memory[tuple[Scene, list]]
    _trim: Trim
    _room: Room
    _pictures: Threads
    _watch: Watch
    _aside: Aside | None

    def _fresh(self) -> dict[str, Any]:
        return {
            "_cache": Memory(self.cache_size, MAX_CACHED_BYTES),
            "_trim": Trim(),
            "_room": Room(),
            "_pictures": Threads("picture"),
            "_watch": Watch(self.time_limit),
            "_aside": None,
        }

    @property
    def entries(self) -> Mapping[str, Entry | Expert]:
        """What runs each kind: how it is built, or an Expert that was given."""
        return self._builder.entries

    def remember(self, pictures: int) -> None:
        """At most so many pictures from now on (0: none)."""
        self.cache_size = self._cache.most = pictures

    def spread(self, processes: int) -> None:
        """From now on pictures are looked at in so many processes, each with experts of its own, once these are loaded
        (0: in this one). Raises ValueError for experts that cannot be had there."""
        if self._aside is not None:
            self._aside.close()
        self._aside = Aside(self, processes) if processes else None

    def narrowed(self, experts: Sequence[str] | str | None) -> "Perception":
        """The same experts and memory, of which only `experts` run. Raises ValueError for one that is not there."""
        narrow = self._twin()
        narrow.experts = self._kept(experts)
        return narrow

    def __call__(self, picture, experts: Sequence[str] | str | None = None) -> Scene:
        """The Scene of one picture: a PIL image, an array or whatever `load_image` takes.

        `experts` narrows the experts for this call. An expert that fails leaves its part empty and one sentence in
        `warnings`; `timings` has the seconds of each, "total" among them. Raises ImageError for a bad picture and
        ValueError for an expert that is unknown or was not asked for at construction.
        """
        return self.batch([picture], experts)[0]

    def batch(self, pictures: Sequence, experts: Sequence[str] | str | None = None) -> list[Scene]:
        """The Scenes of several pictures; networks look at up to 16 of them in one pass. Otherwise as a call."""
        names = self._kept(experts)
        loaded = [pixels_of(picture) for picture in pictures]
        keys = [(pixels.digest, names) for pixels in loaded]
        scenes = {key: scene for key in keys if (scene := self._remembered(key)) is not None}
        new = {key: pixels for key, pixels in zip(keys, loaded, strict=True) if key not in scenes}
        for part in _parts(new):
            if len(part) > 1 and not (self._aside and self._aside.ready.is_set()):
                self._prepare([pixels for _, pixels in part], names)
            looked = self._pictures.each(
                lambda pixels: self._in_turn(pixels, names), [pixels for _, pixels in part], SIDE_BY_SIDE
            )
            for (key, _), (scene, passing) in zip(part, looked, strict=True):
                scenes[key] = scene
                if not passing and self.cache_size:
                    self._cache.put(key, _packed(scene))
        # Copies, since a caller may change its scene; masks are shared, being large and never written to.
        return [_copied(scenes[key]) for key in keys]

    def _kept(self, experts: Sequence[str] | str | None) -> tuple[str, ...]:
        if experts is None:
            return self.experts
        names = registry.expert_names(experts)
        for name in names:
            if name not in self.experts:
                raise ValueError(f"the expert {name} was not loaded; loaded are {', '.join(self.experts) or 'none'}")
        return names

    def _prepare(self, pictures: list[Pixels], names: tuple[str, ...]) -> None:
        for name in names:
            work = partial(self._with_expert, name, lambda expert: prepare(expert, pictures))
            # Whatever goes wrong, the call for each picture meets it again, and reports it.
            with suppress(Hangs):
                self._finish(self._start(name, work, len(pictures)))

    def _with_expert(self, name: str, do: Callable[[Expert], Any]) -> Any:
        return do(self._builder.expert(name))

    def _start(self, name: str, work: Callable[[], Any], share: int = 1) -> Started:
        return self._watch.start(name, work, partial(self._with_expert, name, load), share)

    def _finish(self, started: Started) -> Call:
        try:
            return self._watch.finish(started)
        except Hangs:
            self._builder.renew()
            raise

    def _in_turn(self, picture: Pixels, names: tuple[str, ...]) -> tuple[Scene, bool]:
        height, width = picture.shape[:2]
        with self._room.taken(width, height):
            looked = None if self._aside is None else self._aside.look(picture, names)
            if looked is None:
                return self.look(picture, names)
        self._trim.after(picture.size)
        return looked

    def look(self, picture: Pixels, names: tuple[str, ...]) -> tuple[Scene, bool]:
        """One look by these experts in this process: the scene, and whether an expert failed in a way that another try
        may mend."""
        started = time.perf_counter()
        height, width = picture.shape[:2]
        scene = Scene(width, height)
        problems: dict[str, BaseException] = {}
        running: dict[str, Started] = {}
        left_out: dict[str, list[str]] = {}

        def settle(name: str) -> None:
            begun = time.perf_counter()
            try:
                call = self._finish(running.pop(name))
            except Hangs as error:
                problems[name], scene.timings[name] = error, time.perf_counter() - begun
                return
            scene.timings[name] = call.seconds
            if isinstance(call.error, KeyboardInterrupt):
                raise call.error
            if call.error is not None:
                problems[name] = call.error
            else:
                left_out[name] = admit(registry.kind(name), call.result, scene)

        # Those that wait for others come last, so that the others are on their way already.
        for kind in _in_turn(names):
            for other in (*kind.needs, *kind.after):
                if other in running:
                    settle(other)
            missing = [other for other in kind.needs if other not in names or other in problems]
            if missing:
                why = "failed" if missing[0] in names else "is switched off"
                spoken = registry.kind(missing[0]).spoken
                problems[kind.name] = ExpertUnavailable(f"it needs {spoken}, which {why}")
                continue
            try:
                running[kind.name] = self._start(kind.name, partial(self._look, kind, picture, _seen_by(kind, scene)))
            except Hangs as error:
                problems[kind.name] = error
        for name in list(running):
            settle(name)
        for name in names:
            if name in problems:
                scene.warnings.append(f"{registry.kind(name).spoken} failed: {_sentence(problems[name])}")
            scene.warnings += left_out.get(name, ())
        scene.timings = {name: scene.timings[name] for name in names if name in scene.timings}
        scene.timings["total"] = time.perf_counter() - started
        self._trim.after(picture.size)
        return scene, not all(isinstance(error, ExpertUnavailable) for error in problems.values())

    def _look(self, kind: Kind, picture: Pixels, own: Scene) -> Scene:
        self._builder.expert(kind.name)(picture, own)
        return own

    def _remembered(self, key: tuple) -> Scene | None:
        kept = self._cache.get(key)
        return None if kept is None else _unpacked(*kept)


def _entry(kind: str, given: Any, preset: Preset) -> Entry | Expert:
    """What runs a kind whose expert is replaced, as Perception takes it."""
    if isinstance(given, Mapping):
        return entry_of(kind, given)
    if not isinstance(given, (str, Path)):
        if not callable(given):
            raise ValueError(f"{kind} cannot be {given!r}; give weights, a backend's name or an Expert")
        return given
    usual = preset.entries.get(kind) or Entry(next((one.name for one in registry.backends_of(kind)), None))
    if names_backend(kind, str(given)) or usual.backend is None or registry.backend(usual.backend).weights is None:
        return entry_of(kind, str(given))
    return entry_of(kind, {"backend": usual.backend, "weights": str(given), "options": usual.options})


def _asked(experts: Sequence[str] | str | None, there: Sequence[str], preset: str) -> tuple[str, ...]:
    if experts is None:
        return tuple(there)
    names = registry.expert_names(experts)
    absent = [name for name in names if name not in there]
    if absent:
        raise ValueError(f"the preset of experts {preset} has no {absent[0]}; it has {', '.join(there) or 'none'}")
    return names


def _in_turn(names: Iterable[str]) -> list[Kind]:
    """The kinds of these names, each after those that it waits for."""
    left, ordered = [registry.kind(name) for name in names], []
    while left:
        waiting = {one.name for one in left}
        ready = [one for one in left if waiting.isdisjoint((*one.needs, *one.after))]
        ordered += ready
        left = [one for one in left if one not in ready]
    return ordered


def _seen_by(kind: Kind, scene: Scene) -> Scene:
    """A scene of its own for an expert of a kind, with the parts of those that it waited for. One that fails or hangs
    half way through leaves nothing in another's."""
    own = Scene(scene.width, scene.height)
    for other in (*kind.needs, *kind.after):
        for part in registry.kind(other).parts:
            own.put(part.name, list(scene.part(part.name)))
    return own


def _parts(pictures: Mapping[tuple, Pixels]) -> Iterator[list[tuple[tuple, Pixels]]]:
    """In parts of so many pictures, and of so many pixels, as networks look at in one pass."""
    part: list[tuple[tuple, Pixels]] = []
    pixels = 0
    for key, picture in pictures.items():
        if part and (len(part) == MAX_AT_ONCE or pixels + picture.size > 3 * MAX_PIXELS):
            yield part
            part, pixels = [], 0
        part.append((key, picture))
        pixels += picture.size
    if part:
        yield part


def _packed(scene: Scene) -> tuple[Scene, list]:
    """A copy without masks, and these as bits, of which eight make a byte."""
    kept = _copied(scene)
    masks = [None if one.mask is None else np.packbits(one.mask, axis=1) for one in kept.segments]
    for one in kept.segments:
        one.mask = None
    return kept, masks


def _unpacked(kept: Scene, masks: list) -> Scene:
    scene = _copied(kept)
    for one, bits in zip(scene.segments, masks, strict=True):
        if bits is not None:
            one.mask = np.unpackbits(bits, axis=1, count=kept.width).view(bool)
    return scene


def _copied(scene: Scene) -> Scene:
    copied = copy.copy(scene)
    for name in ("segments", "detections", "relations", "text_lines"):
        setattr(copied, name, [copy.copy(one) for one in getattr(scene, name)])
    for name in ("objects", "object_boxes", "warnings"):
        setattr(copied, name, list(getattr(scene, name)))
    copied.timings = dict(scene.timings)
    copied.more = {name: [copy.copy(one) for one in part] for name, part in scene.more.items()}
    return copied


def _sentence(error: BaseException) -> str:
    if not isinstance(error, Exception):
        return f"it tried to end the program ({type(error).__name__})"
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        lines = []
    line = lines[0].rstrip(".") if lines else type(error).__name__
    return line.encode(errors="replace").decode() if len(line) <= MAX_SENTENCE else f"{line[:MAX_SENTENCE]}..."
