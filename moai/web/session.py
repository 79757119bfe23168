"""One person's chat: the picture in question, what was said about it, and the answer under way."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from moai.web.engine import Engine
from perception.images import ImageError, load_image
from perception.kinds.detection import DETECTION_THRESHOLD
from perception.registry import kind
from perception.scene import Scene
from perception.verbalize import verbalize

MAX_BYTES = 20 * 2**20
"""Largest picture file that the page takes."""
MAX_QUESTION_LENGTH = 500
MAX_TURNS = 40
"""Turns that a chat keeps; the oldest are forgotten."""
MAX_SIDE = 1600
"""Larger pictures are reduced to this before the experts look, so that one person's picture cannot fill the memory."""
MAX_SHOWN_SIDE = 1200
DRAFTS = 6
"""Drafts of an answer that is thought about twice."""


@dataclass(frozen=True)
class Settings:
    """How answers are worded, as `moai.answers.Decoding` takes it; of several samples the one that most say."""

    max_new_tokens: int = 96
    temperature: float | None = None
    samples: int = 1

    @classmethod
    def of(cls, length: float, temperature: float, twice: bool) -> "Settings":
        """Of what the page's fields hold; drafts that think twice must differ, so that their 0 means the usual."""
        return cls(int(length), float(temperature) or None, DRAFTS if twice else 1)


@dataclass
class Look:
    """A picture with what the experts saw in it. `picture` is the reduced copy that is drawn on."""

    path: str
    picture: Image.Image
    original: Image.Image
    encoded: object
    words: str
    seconds: float

    @property
    def scene(self) -> Scene:
        """What the experts saw."""
        return self.encoded.scene


@dataclass
class Turn:
    """One question and its answer so far; `picture` is set where a turn opens the talk about a new picture."""

    question: str
    answer: str = ""
    picture: str | None = None
    alt_text: str = ""
    done: bool = False
    stopped: bool = False
    first_token: float | None = None
    seconds: float = 0.0
    drafts: list = field(default_factory=list)
    agreement: float | None = None
    instead_of: str | None = None


@dataclass
class Variant:
    """An answer under changed conditions, for comparison."""

    title: str
    answer: str
    words: str
    listened: float | None
    seconds: float


class Session:
    """Everything the page remembers of one person; never shared between two.

    `turns` are all that is shown, those from `since` on are about the picture in question; `gates` and `experts` belong
    to the last answer. `wanted` is the picture that was chosen last, `shown` the one whose evidence is on the page, and
    `waiting` are questions to ask when the experts have looked, those of examples with their picture. Not a dataclass,
    since gradio would take it apart.
    """

    def __init__(self):
        self.look: Look | None = None
        self.wanted: str | None = None
        self.shown: str | None = None
        self.waiting: list[tuple[str, str | None]] = []
        self.turns: list[Turn] = []
        self.gates: list = []
        self.experts: list = []
        self.since = 0
        self.stream = None
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.answering = threading.Lock()

    def __deepcopy__(self, memo) -> "Session":
        # Gradio copies the initial value for each new visitor; every one starts afresh.
        return Session()

    def history(self) -> list[dict]:
        """What was said about the picture in question, as chat messages."""
        messages = []
        for turn in self.turns[self.since :]:
            if turn.done and turn.answer:
                messages += [
                    {"role": "user", "content": turn.question},
                    {"role": "assistant", "content": turn.answer},
                ]
        return messages

    def see(self, engine: Engine, path: str) -> Look:
        """Look at a new picture, or return the look at the same one. Raises ImageError with one sentence."""
        with self.lock:
            if self.look is None or self.look.path != path:
                self.look = look_at(engine, path)
                self.gates, self.experts = [], []
                self.since = len(self.turns)
            return self.look

    def forget_image(self) -> None:
        """No picture is in question any more; the chat stays."""
        with self.lock:
            self.look, self.gates, self.experts, self.since = None, [], [], len(self.turns)

    def shows(self, turn: Turn) -> bool:
        """Whether a turn is still there: the chat can be cleared while it is answered."""
        return any(one is turn for one in self.turns)

    def clear(self) -> None:
        """Forget the chat; the picture stays."""
        self.stop()
        self.turns, self.gates, self.experts, self.since, self.waiting = [], [], [], 0, []

    def stop(self) -> None:
        """End the answer under way, if there is one."""
        self.stopping.set()
        stream = self.stream
        if stream is not None:
            stream.stop()

    def answer(self, engine: Engine, path: str, question: str, settings: Settings) -> Iterator[Turn]:
        """Answer one question about a picture; yields the turn as it grows. Raises ValueError with one sentence."""
        question = checked_question(question)
        with self.answering:  # one after the other: each has what was said before it
            yield from self._answer(engine, path, question, settings)

    def _answer(self, engine: Engine, path: str, question: str, settings: Settings) -> Iterator[Turn]:
        self.stopping.clear()
        look = self.see(engine, path)
        started = time.perf_counter()
        # A stop can come while the experts look or while others are being answered.
        opening = len(self.turns) == self.since
        turn = Turn(question, picture=path if opening else None, alt_text=describe(look.scene) if opening else "")
        messages = [*self.history(), {"role": "user", "content": question}]
        self.turns.append(turn)
        yield turn
        stream = None
        try:
            stream = engine.get().stream(look.encoded, messages, **vars(settings))
            self.stream = stream
            if self.stopping.is_set():
                stream.stop()
            for piece in stream:
                turn.answer += piece
                turn.drafts = stream.drafts
                turn.seconds = time.perf_counter() - started
                if turn.first_token is None and piece:
                    turn.first_token = turn.seconds
                yield turn
        except ValueError:
            self.turns = [one for one in self.turns if one is not turn]
            raise
        finally:
            self.stream = None
            turn.done = True
            if stream is not None:
                stream.stop()
        turn.seconds = time.perf_counter() - started
        turn.stopped = self.stopping.is_set()
        turn.answer = stream.answer.text or turn.answer
        turn.drafts, turn.agreement = stream.answer.drafts, stream.answer.agreement
        turn.instead_of = stream.answer.instead_of
        if self.look is look and self.shows(turn):
            self.gates, self.experts = stream.answer.gates, stream.answer.experts
        if len(self.turns) > MAX_TURNS:
            forgotten = len(self.turns) - MAX_TURNS
            del self.turns[:forgotten]
            self.since = max(0, self.since - forgotten)
        yield turn

    def compare(
        self, engine: Engine, path: str, question: str, experts: list[str], moai: bool, settings: Settings
    ) -> list[Variant]:
        """The same question with everything on, and with `experts` alone or, without `moai`, the plain backbone.

        What was said before the last question stays said in both. Raises ValueError with one sentence.
        """
        question = checked_question(question)
        look = self.see(engine, path)
        assistant = engine.get()
        messages = self.history()
        if messages and messages[-2]["content"].strip() == question:
            messages = messages[:-2]
        messages.append({"role": "user", "content": question})
        everything = tuple(look.encoded.experts)
        kept = tuple(name for name in everything if name in experts)
        changed = variant_title(kept, everything, moai)
        variants = []
        for title, names, mixing in (("Everything on", everything, True), (changed, kept, moai)):
            started = time.perf_counter()
            same = mixing and names == everything
            encoded = look.encoded if same else assistant.encode(look.original, experts=names, moai=mixing)
            answer = assistant.chat(encoded, messages, **vars(settings))
            words = verbalize(encoded.scene, names).strip() if mixing else ""
            shares = [gate.language["aux"] for gate in answer.gates]
            listened = sum(shares) / len(shares) if shares else None
            variants.append(Variant(title, answer.text, words, listened, time.perf_counter() - started))
        return variants


def variant_title(kept: Sequence[str], everything: Sequence[str], moai: bool) -> str:
    """What is different when, of the experts that are there, only `kept` speak: "Without detection and OCR"."""
    if not moai:
        return "MoAI off: the plain backbone"
    off = [kind(name).spoken for name in everything if name not in kept]
    if not off:
        return "Everything on, once more"
    if not kept:
        return "Without any expert"
    return "Without " + (off[0] if len(off) == 1 else ", ".join(off[:-1]) + " and " + off[-1])


def checked_question(question: str | None) -> str:
    """The question without blank edges. Raises ValueError when it is empty, too long or no text."""
    question = (question or "").strip()
    if not question:
        raise ValueError("Type a question about the picture first.")
    if any("\ud800" <= character <= "\udfff" for character in question):
        raise ValueError("The question holds half of a character (a lone surrogate), which is no text. Type it again.")
    if len(question) > MAX_QUESTION_LENGTH:
        raise ValueError(
            f"The question is {len(question)} characters long; up to {MAX_QUESTION_LENGTH} are answered. Shorten it."
        )
    return question


def checked_image(path: str | None) -> Image.Image:
    """The picture behind a path, reduced where it is very large. Raises ImageError with one sentence for people."""
    if not path:
        raise ImageError("Choose a picture first: upload one, paste one, use the camera or click an example.")
    try:
        if (size := Path(path).stat().st_size) > MAX_BYTES:
            raise ImageError(f"The picture has {size / 2**20:.0f} MiB; up to {MAX_BYTES >> 20} MiB are taken here.")
        # As bytes, since nobody knows the server's name of the file that was uploaded.
        content = Path(path).read_bytes()
    except OSError as error:  # uploads are deleted after a while
        raise ImageError("This picture is no longer here; choose it once more.") from error
    try:
        picture = load_image(content)
    except ImageError as error:
        sentence = str(error).replace("the data", "this file", 1)
        raise ImageError(sentence[:1].upper() + sentence[1:] + ".") from error
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return picture


def look_at(engine: Engine, path: str) -> Look:
    """Everything that is shown about a picture before it is asked about."""
    picture = checked_image(path)
    assistant = engine.get()
    started = time.perf_counter()
    encoded = assistant.encode(picture)
    seconds = time.perf_counter() - started
    words = verbalize(encoded.scene, encoded.experts).strip()
    shown = picture.copy()
    shown.thumbnail((MAX_SHOWN_SIDE, MAX_SHOWN_SIDE), Image.Resampling.LANCZOS)
    if shown.size != picture.size:
        encoded.scene.segments = [_reduced(one, shown.size) for one in encoded.scene.segments]
    return Look(path, shown, picture, encoded, words, seconds)


def _reduced(segment, size: tuple[int, int]):
    if segment.mask is None:
        return segment
    mask = cv2.resize(segment.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return replace(segment, mask=mask.astype(bool))


def describe(scene: Scene) -> str:
    """One line for people who cannot see the picture."""
    seen: dict[str, int] = {}
    for one in scene.detections:
        if one.score >= DETECTION_THRESHOLD:
            seen[one.label] = seen.get(one.label, 0) + 1
    things = ", ".join(f"{count} × {label}" if count > 1 else label for label, count in seen.items())
    return f"Picture with {things}" if things else "Picture in which the experts detected nothing"
