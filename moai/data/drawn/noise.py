"""Simulated expert errors: what the experts might have seen of a scene whose truth is known, for training text."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.facts import companions
from moai.data.drawn.levels import LEVELS, check
from moai.data.draws import pick
from perception.labels import PSG_PREDICATES
from perception.scene import Box, Detection, Relation, Scene, Segment, TextLine

# Shapes that OCR takes for one another; other characters turn into any letter or digit.
_ALIKE = {
    "O": "0QD", "0": "OQ", "I": "1l", "1": "I7l", "l": "1I", "S": "5", "5": "S", "B": "8R", "8": "B3", "Z": "2",
    "2": "Z", "G": "69C", "6": "G", "9": "g", "Q": "O", "D": "O0V", "E": "F", "F": "EP", "P": "F", "C": "G", "U": "V",
    "V": "UYW", "M": "N", "N": "MH", "J": "]", "L": "[", "X": "×", "n": "h", "h": "n", "e": "ca", "c": "e", "a": "o",
    "o": "a", "i": "l", "u": "v", "v": "u",
}  # fmt: skip
# What OCR sees in patterns and drawings that carry no text.
_NO_TEXT = "口目拜心雪IO0"
_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


@dataclass(frozen=True)
class ExpertErrors:
    """Rates of simulated errors at level 1: probabilities unless said otherwise.

    Scores fall at or above the floor, the threshold that verbalisation uses; boxes are in shares of the picture.
    """

    drop_segment: float = 0.035
    drop_detection: float = 0.035
    confuse_label: float = 0.004
    confuse_alike: float = 0.8
    """Of confused labels, the share that become a companion (same group) and not any label."""
    box_jitter: float = 0.012
    """Standard deviation of each box edge."""
    false_detection: float = 0.01
    """A scene gets one box of something that is not there."""
    drop_relation: float = 0.17
    wrong_relation: float = 0.05
    """A relation gets another predicate."""
    false_relation: float = 0.2
    """A scene gets one relation that does not hold."""
    drop_line: float = 0.009
    misread_line: float = 0.003
    """Some characters of a line are changed, lost or doubled."""
    false_line: float = 0.02
    """A scene gets one character where no text is."""
    shuffle: float = 0.2
    """Detections come in random order; otherwise in the order of the scene."""
    score_spread: float = 0.35
    """Mean distance of a score from 1 (exponential, cut off at the floor), as a share of what lies above the floor."""
    line_score_spread: float = 0.02
    """The same for lines of text."""
    segment_floor: float = 0.5
    detection_floor: float = 0.5
    relation_floor: float = 0.8
    line_floor: float = 0.85


# At each level of difficulty. Text: what RapidOCR does by `python -m benchmarks.expert_noise`. What is dropped
# otherwise: what the embedded experts miss by `python -m benchmarks.experts`, which gives their precision too, but not
# how that divides into confused, wrong and false; this is assumed.
_MEASURED = {
    "drop_segment": (0.012, 0.035, 0.073),
    "drop_detection": (0.012, 0.035, 0.073),
    "confuse_label": (0.002, 0.004, 0.015),
    "false_detection": (0.005, 0.01, 0.06),
    "drop_relation": (0.14, 0.17, 0.3),
    "wrong_relation": (0.05, 0.05, 0.08),
    "false_relation": (0.25, 0.2, 0.4),
    "drop_line": (0.009, 0.009, 0.044),
    "misread_line": (0.003, 0.003, 0.025),
    "false_line": (0.02, 0.02, 0.036),
    "line_score_spread": (0.017, 0.02, 0.033),
}


def errors_at(difficulty: float) -> ExpertErrors:
    """The rates that go with scenes of a difficulty (0..1): they follow what was measured of the embedded experts.

    At medium difficulty they are the defaults. Raises ValueError for a difficulty out of range.
    """
    check(difficulty)
    rates = {name: float(np.interp(difficulty, tuple(LEVELS.values()), told)) for name, told in _MEASURED.items()}
    return ExpertErrors(**rates)


@cache
def _stuff() -> frozenset[str]:
    return frozenset(STUFF_LABELS)


class _Observer:
    def __init__(self, rng: np.random.Generator, level: float, errors: ExpertErrors):
        self.rng, self.level, self.errors = rng, level, errors

    def happens(self, probability: float) -> bool:
        return self.rng.random() < probability * self.level

    def score(self, floor: float, spread: float | None = None) -> float:
        spread = self.errors.score_spread if spread is None else spread
        return max(floor, 1.0 - self.rng.exponential(spread * (1 - floor)))

    def label(self, label: str) -> str:
        if not self.happens(self.errors.confuse_label):
            return label
        if label in _stuff():
            return pick(self.rng, STUFF_LABELS)
        alike = companions(label)
        return pick(self.rng, alike if alike and self.rng.random() < self.errors.confuse_alike else THING_LABELS)

    def box(self, box: Box) -> Box:
        """The box with every edge moved, cut off at the picture and never turned inside out."""
        size = self.errors.box_jitter * self.level
        a, b, c, d = self.rng.standard_normal(4).tolist()
        x1, x2 = min(max(box[0] + a * size, 0.0), 1.0), min(max(box[2] + c * size, 0.0), 1.0)
        y1, y2 = min(max(box[1] + b * size, 0.0), 1.0), min(max(box[3] + d * size, 0.0), 1.0)
        return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)

    def false_box(self) -> Box:
        x1, y1, w, h = self.rng.random(4).tolist()
        x1, y1 = x1 * 0.9, y1 * 0.9
        return x1, y1, min(1.0, x1 + 0.05 + 0.3 * w), min(1.0, y1 + 0.05 + 0.3 * h)

    def segments(self, segments: list[Segment]) -> list[Segment]:
        errors = self.errors
        return [
            Segment(self.label(item.label), self.box(item.box), self.score(errors.segment_floor), item.mask)
            for item in segments if not self.happens(errors.drop_segment)
        ]  # fmt: skip

    def detections(self, detections: list[Detection]) -> list[Detection]:
        errors, rng = self.errors, self.rng
        kept = [
            Detection(self.label(item.label), self.box(item.box), self.score(errors.detection_floor))
            for item in detections if not self.happens(errors.drop_detection)
        ]  # fmt: skip
        if self.happens(errors.false_detection):
            kept.append(Detection(pick(rng, THING_LABELS), self.false_box(), self.score(errors.detection_floor)))
        if len(kept) > 1 and self.happens(errors.shuffle):
            kept = [kept[at] for at in rng.permutation(len(kept))]
        return kept

    def relations(self, relations: list[Relation], things: int) -> list[Relation]:
        errors, rng = self.errors, self.rng
        kept = []
        for item in relations:
            if not self.happens(errors.drop_relation):
                wrong = self.happens(errors.wrong_relation)
                predicate = pick(rng, PSG_PREDICATES) if wrong else item.predicate
                kept.append(replace(item, predicate=predicate, score=self.score(errors.relation_floor)))
        if things > 1 and self.happens(errors.false_relation):
            subject = int(rng.random() * things)
            other = (subject + 1 + int(rng.random() * (things - 1))) % things
            predicate = relations[0].predicate if relations else pick(rng, PSG_PREDICATES)
            kept.append(Relation(subject, predicate, other, self.score(errors.relation_floor)))
        # Verbalisation takes the best first, so the order in which a backend lists them carries no meaning.
        return sorted(kept, key=lambda item: -item.score)

    def text(self, text: str) -> str:
        """The text, or what is read instead: a lost space, or one to three wrong characters."""
        if not text or not self.happens(self.errors.misread_line):
            return text
        if " " in text and self.rng.random() < 0.4:
            return text.replace(" ", "", 1)
        for _ in range(pick(self.rng, (1, 1, 1, 2, 3))):
            text = self.misspelt(text)
        return text

    def misspelt(self, text: str) -> str:
        at = int(self.rng.random() * len(text))
        draw = self.rng.random()
        if draw < 0.7:
            wrong = pick(self.rng, _ALIKE.get(text[at], _CHARACTERS))
        else:
            wrong = "" if draw < 0.9 and len(text) > 1 else text[at] * 2
        return text[:at] + wrong + text[at + 1 :]

    def lines(self, lines: list[TextLine]) -> list[TextLine]:
        errors = self.errors
        kept = [
            TextLine(self.text(line.text), self.line_score(), line.box and self.box(line.box))
            for line in lines if not self.happens(errors.drop_line)
        ]  # fmt: skip
        if self.happens(errors.false_line):
            false = TextLine(pick(self.rng, _NO_TEXT), self.line_score(), self.false_box())
            kept.insert(int(self.rng.random() * (len(kept) + 1)), false)
        return kept

    def line_score(self) -> float:
        return self.score(self.errors.line_floor, self.errors.line_score_spread)


def observe(scene: Scene, rng: np.random.Generator, level: float = 1.0, errors: ExpertErrors | None = None) -> Scene:
    """What imperfect experts would report of `scene`, a ground truth; the scene itself is not changed.

    `level` scales every error rate and the jitter of boxes: 0 leaves labels, boxes, texts and order as they are, and
    only scores are drawn. Every score is at or above the threshold of verbalisation, so that nothing is lost twice;
    masks are shared with `scene` and stay as they were. `errors` holds the rates (default
    `ExpertErrors()`, as measured at medium difficulty; see `errors_at`).
    Raises ValueError for a negative level.
    """
    if level < 0:
        raise ValueError(f"level must not be negative, got {level}")
    observer = _Observer(rng, level, errors or ExpertErrors())
    return Scene(
        width=scene.width,
        height=scene.height,
        segments=observer.segments(scene.segments),
        detections=observer.detections(scene.detections),
        objects=[observer.label(label) for label in scene.objects],
        relations=observer.relations(scene.relations, len(scene.objects)),
        text_lines=observer.lines(scene.text_lines),
        warnings=list(scene.warnings),
        object_boxes=[observer.box(box) for box in scene.object_boxes],
        timings=dict(scene.timings),
    )
