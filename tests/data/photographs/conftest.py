"""A small folder of photographs with annotations of every sort."""

import json

import pytest
from PIL import Image

BOXES = [
    {"label": "dog", "box": [10, 60, 50, 100]},
    {"label": "dog", "box": [60, 60, 90, 100]},
    {"label": "person", "box": [100, 10, 150, 110]},
    {"label": "bench", "box": [0, 20, 190, 30], "maybe_crowd": True},
]
RECORDS = [
    {
        "file": "pictures/park.png",
        "dataset": "COCO",
        "width": 200,
        "height": 120,
        "boxes": BOXES,
        "boxes_exhaustive": True,
        "captions": ["Two dogs run beside a man .", "A man in a red coat with two dogs."],
        "caption_pairs": [{"kind": "swap", "true": "Two dogs beside a man.", "false": "Two men beside a dog."}],
        "spatial_statements": [{"statement": "The dog is left of the person.", "true": True, "relation": "left of"}],
    },
    {
        "file": "pictures/street.png",
        "dataset": "COCO",
        "width": 200,
        "height": 120,
        "boxes": [{"label": "car", "box": [20, 40, 120, 100]}],
        "boxes_exhaustive": True,
        "captions": ["A car in a street"],
    },
    {
        "file": "pictures/receipt.png",
        "dataset": "receipts",
        "width": 100,
        "height": 200,
        "text_lines": [
            {"text": "ALPHA STORE", "box": [10, 5, 90, 15]},
            {"text": "TOTAL 9.00", "box": [10, 150, 90, 160]},
        ],
        "fields": {"company": "ALPHA STORE", "total": "9.00", "date": "25/12/2018"},
        "questions": [{"question": "What is the total?", "answer": "9.00", "source": "key"}],
    },
    {
        "file": "pictures/room.png",
        "dataset": "rooms",
        "width": 160,
        "height": 120,
        "questions": [{"question": "what is on the desk?", "answer": "lamp, book", "source": "rooms"}],
    },
]


def write(folder, records):
    """The folder, with a picture for each record."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for number, record in enumerate(records):
        colour = (40 * number % 256, 90, 160)
        Image.new("RGB", (record["width"], record["height"]), colour).save(folder / record["file"])
    (folder / "annotations.json").write_text(json.dumps({"pictures": records}))
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "photographs", RECORDS)
