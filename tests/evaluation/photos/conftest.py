import json

import numpy as np
import pytest
from PIL import Image

from moai.data.photographs.annotations import read_photographs
from moai.evaluation.photos.item import View
from perception import Detection, Scene, TextLine


def record(name: str, **more) -> dict:
    return {"file": f"{name}.png", "width": 100, "height": 80} | more


def boxed(label: str, *box: int, **more) -> dict:
    return {"label": label, "box": list(box)} | more


def scene(detections=(), lines=()) -> dict:
    seen = Scene(100, 80, detections=list(detections), text_lines=[TextLine(line, 0.9) for line in lines])
    return seen.to_dict(exact=True)


STREET = [
    boxed("dog", 0, 40, 20, 70),
    boxed("bus", 50, 0, 95, 30),
    *(boxed("person", left, 30, left + 8, 70) for left in (24, 34, 44)),
    boxed("car", 60, 40, 90, 60, maybe_crowd=True),
]
PICTURES = [
    record(
        "street",
        dataset="COCO val2017",
        boxes=STREET,
        boxes_exhaustive=True,
        captions=["A dog runs past a bus.", "A dog and a bus in a street."],
        caption_pairs=[{"true": "A dog runs past a bus.", "false": "A bus runs past a dog.", "kind": "swap_obj"}],
        spatial_statements=[{"statement": "The dog is on the bus.", "true": False, "relation": "on"}],
        questions=[
            {"question": "Is there a dog in the image?", "answer": "yes", "source": "POPE", "splits": ["random"]}
        ],
        scene=scene([Detection("dog", (0.0, 0.5, 0.2, 0.9), 0.8), Detection("cat", (0, 0, 0.1, 0.1), 0.3)]),
    ),
    record(
        "kitchen",
        dataset="COCO val2017",
        boxes=[boxed("cat", 0, 0, 30, 30), boxed("cup", 50, 50, 60, 60), boxed("cup", 70, 50, 80, 60)],
        boxes_exhaustive=True,
        captions=["A cat looks at two cups."],
        scene=scene([Detection("cup", (0.5, 0.6, 0.6, 0.8), 0.9)]),
    ),
    record(
        "plate",
        dataset="plates",
        questions=[{"question": "What does the number plate say?", "answer": "AB12CD", "source": "plate"}],
        scene=scene(lines=["AB 12-CD", "FORD"]),
    ),
    record(
        "receipt",
        dataset="receipts",
        questions=[
            {"question": "What is the total?", "answer": "9.50", "source": "SROIE key"},
            {"question": "What is the date?", "answer": "01/02/2018", "source": "SROIE key"},
            {"question": "Which company is this receipt from?", "answer": "SOME SHOP", "source": "SROIE key"},
        ],
        scene=scene(lines=["SOME SHOP", "01/02/2018 14:03", "SUBTOTAL 9.00", "TOTAL", "9.50", "CASH 10.00"]),
    ),
    record(
        "room",
        dataset="rooms",
        questions=[
            {"question": "what is on the table?", "answer": "lamp, books", "source": "DAQUAR"},
            {"question": "how many chairs are there?", "answer": "2", "source": "DAQUAR"},
        ],
        scene=scene(),
    ),
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Five small pictures of noise with annotations and scenes."""
    made = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for one in PICTURES:
        Image.fromarray(rng.integers(0, 255, (80, 100, 3), dtype=np.uint8)).save(made / one["file"])
    (made / "annotations.json").write_text(json.dumps({"pictures": PICTURES}))
    return made


@pytest.fixture(scope="session")
def views(folder):
    return [View(one.path.stem, one, one.scene) for one in read_photographs(folder)]
