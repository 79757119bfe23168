"""Scenes in words, against the recorded cases."""

import json
from pathlib import Path

import pytest

from perception import Detection, Relation, Scene, Segment, TextLine, verbalize

CASES = json.loads((Path(__file__).parent.parent / "fixtures" / "verbalization.json").read_text())["cases"]


def scene_of(case: dict) -> Scene:
    width, height = case["image_size"]

    def share(box):
        return tuple(edge / side for edge, side in zip(box, (width, height, width, height), strict=True))

    scene = Scene(width, height)
    scene.segments = [Segment(one["label"], share(one["box_pixels"])) for one in case["segments"]]
    scene.detections = [Detection(one["label"], share(one["box_pixels"]), one["score"]) for one in case["detections"]]
    scene.text_lines = [TextLine(one["text"], one["score"]) for one in case["text_lines"]]
    if case["relations"]:
        told = case["relations"]
        scene.objects = told["object_labels"]
        scene.relations = [
            Relation(subject, predicate, other, score)
            for (subject, other), predicate, score in zip(
                told["pairs"], told["predicates"], told["scores"], strict=True
            )
        ]
    return scene


def sentences(text: str) -> list[str]:
    opening, _, rest = text.rstrip(".").partition(": ")
    return [opening, *sorted(rest.split(", and "))]


@pytest.mark.parametrize("case", CASES)
def test_recorded_cases(case):
    scene, expected = scene_of(case), case["expected"]
    assert verbalize(scene, ["segmentation"]).strip() == expected["segmentation"]
    assert verbalize(scene, ["detection"]).strip() == expected["detection"]
    assert verbalize(scene, ["ocr"]).strip() == expected["ocr"]
    graph = verbalize(scene, ["scene_graph"]).strip()
    assert sentences(graph) == sentences(expected["scene_graph_sentences_any_order"])
    # The recorded order of relations is free; the rest of the text is not.
    assert verbalize(scene).replace(graph, "", 1) == expected["combined"].replace(
        expected["scene_graph_sentences_any_order"], "", 1
    )


def test_relations_are_said_surest_first():
    scene = Scene(10, 10, objects=["cat", "mat", "cat"])
    scene.relations = [Relation(0, "on", 1, 0.85), Relation(2, "beside", 0, 0.95), Relation(2, "on", 1, 0.79)]
    said = verbalize(scene, ["scene_graph"]).strip()
    assert said == (
        "The image includes relationships between objects: cat (#2) is beside cat (#1), and cat (#1) is on mat."
    )


def test_nothing_seen():
    assert verbalize(Scene(4, 4)).strip() == ""
