"""Made-up scenes as experts tell of them, without a picture, and what of them is true: what the experts say."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from moai.data.draws import pick, shuffled
from moai.data.photographs.photograph import LabelledBox, Photograph
from moai.data.worded.receipts import receipt
from moai.data.worded.texts import plate, text
from moai.data.worded.vocabulary import cluster, imagenet
from moai.data.worded.words import filled, moment, word
from perception.backends.geometry import BoxGeometry
from perception.kinds.detection import DETECTION_THRESHOLD
from perception.scene import Box, Detection, Scene, Tag, TextLine

SORTS = {"things": 0.4, "street": 0.14, "texts": 0.12, "plate": 0.11, "receipt": 0.2, "nothing": 0.03}
"""How often each sort of scene is made up; its name is the data set of its photograph."""
_VEHICLES = ("car", "truck", "bus", "motorcycle", "van")
_COUNTS = (0.52, 0.19, 0.1, 0.07, 0.05, 0.04, 0.03)
"""How often a label occurs once, twice and so on."""
_RELATE, _RELATED = BoxGeometry(), 0.8
"""What relates boxes as the experts do, and how often a scene has its words."""
_DOUBTED, _UNSURE_BOXES = 0.25, 0.6
"""How often a thing that is there once is only said to be possible, and how often one that is not has a box."""
_MOST = 10
"""No further label comes into a scene that has more boxes than that."""


def made_up(rng: np.random.Generator, sort: str) -> tuple[Photograph, Scene, dict[str, str]]:
    """What is true of a scene of a sort, what experts say of it, and what each text on signs is."""
    width, height = pick(rng, ((640, 480), (480, 640), (640, 427), (427, 640), (500, 375), (1280, 720)))
    scene, fields, kinds = Scene(width, height), dict[str, str](), dict[str, str]()
    if sort in ("things", "street"):
        scene.detections = _detections(rng, cluster(rng, 1 + int(rng.random() ** 1.3 * 8)))
    if sort in ("street", "texts"):
        found = [text(rng) for _ in range(1 + int(rng.random() ** 2 * (4 if sort == "street" else 10)))]
        kinds = {said: what for what, said in found}
        scene.text_lines = _lines(rng, list(kinds))
    if sort == "plate":
        scene.detections = _detections(rng, [pick(rng, _VEHICLES), *(["person"] if rng.random() < 0.2 else [])])
        read = plate(rng)
        scene.text_lines = _lines(rng, shuffled(rng, [read, *_beside_a_plate(rng)]))
    if sort == "receipt":
        made = receipt(rng)
        scene.width, scene.height, scene.text_lines, fields = 463, 1013, made.lines, made.fields
    boxes = tuple(LabelledBox(one.label, one.box) for one in scene.detections if one.score >= DETECTION_THRESHOLD)
    if scene.detections and rng.random() < 0.6:
        scene.more["possible"] = _possible(rng, scene)
    if rng.random() < _RELATED:
        _RELATE(np.zeros(0), scene)
    if sort != "nothing" and rng.random() < 0.5:
        best = 0.3 + 0.6 * rng.random()
        scene.more["tags"] = [Tag(pick(rng, imagenet()), best * 0.5**place) for place in range(3)]
    # People write plates down as letters and digits alone.
    lines = tuple(scene.text_lines) if sort != "plate" else (TextLine(re.sub("[^A-Z0-9]", "", read), 1.0),)
    truth = Photograph(
        Path(sort), sort, scene.width, scene.height, boxes, text_lines=lines, fields=fields, exhaustive=True
    )
    return truth, scene, kinds


def _beside_a_plate(rng: np.random.Generator) -> list[str]:
    """What else is read in a photograph of a car: nothing, a moment, a place or a dealer."""
    found = [
        moment(rng, "dates"),
        moment(rng, "times"),
        word(rng, "states"),
        word(rng, "shop names"),
        filled(rng, "99"),
    ]
    return shuffled(rng, found)[: int(rng.random() ** 2 * 4)]


def _detections(rng: np.random.Generator, labels: list[str]) -> list[Detection]:
    """Boxes of these labels, surest first, some more that are too unsure to be said."""
    found = list[Detection]()
    for label in labels:
        if len(found) > _MOST:
            break
        size = 0.05 + 0.5 * rng.random() ** 1.5
        for _ in range(1 + int(rng.choice(len(_COUNTS), p=_COUNTS))):
            found.append(Detection(label, _box(rng, size), 0.5 + 0.5 * rng.random() ** 0.7))
    if found and rng.random() < 0.4:
        # Of what is there, so that it is not said of something else that it might be.
        found.append(Detection(pick(rng, labels), _box(rng, 0.1), 0.1 + 0.35 * rng.random()))
    return sorted(found, key=lambda one: -one.score)


def _possible(rng: np.random.Generator, scene: Scene) -> list[Tag]:
    """What may be there: things that are, of which detection was too unsure, and some that it only takes for there."""
    labels = [one.label for one in scene.detections]
    doubted = {label for label in labels if labels.count(label) == 1 and rng.random() < _DOUBTED}
    scene.detections = [
        replace(one, score=0.13 + 0.35 * rng.random()) if one.label in doubted else one for one in scene.detections
    ]
    found = [Tag(one.label, one.score) for one in scene.detections if one.label in doubted]
    for label in cluster(rng, int(rng.random() ** 1.5 * 6)):
        if label not in labels:
            found.append(Tag(label, 0.1 + 0.4 * rng.random()))
            if rng.random() < _UNSURE_BOXES:
                box = _box(rng, 0.05 + 0.4 * rng.random())
                scene.detections.append(Detection(label, box, 0.1 + 0.35 * rng.random()))
    return sorted(found, key=lambda one: -one.score)


def _box(rng: np.random.Generator, size: float) -> Box:
    width, height = (min(size * (0.6 + 0.8 * rng.random()), 1.0) for _ in range(2))
    left, top = rng.random() * (1 - width), rng.random() * (1 - height)
    return left, top, left + width, top + height


def _lines(rng: np.random.Generator, texts: list[str]) -> list[TextLine]:
    """Texts from the top down."""
    tops = np.sort(rng.random(len(texts))) * 0.9
    lefts = rng.random(len(texts)) * 0.6
    return [
        TextLine(said, 0.87 + 0.13 * rng.random(), (float(left), float(top), float(left) + 0.3, float(top) + 0.06))
        for said, left, top in zip(texts, lefts, tops, strict=True)
    ]
