"""Pieces of the sentences that the compressor reads."""

from collections import Counter
from collections.abc import Sequence

from perception.scene import Box

BOXES = "The image includes bounding box coordinates and their objects: "
"""How the words of segmentation and of detection begin."""
MAX_CHARACTERS = 20_000
"""Of what one expert says; a dense page of text has 5,000."""
SUFFIXES = ("-merged", "-other", "-stuff")


def plain_label(label: str) -> str:
    """A COCO panoptic class as it is spoken: `wall-other-merged` is a wall."""
    for suffix in SUFFIXES:
        label = label.removesuffix(suffix)
    return label


def first_name(label: str) -> str:
    """The first of a label's synonyms: `tabby, tabby cat` is a tabby."""
    return label.split(",")[0].strip()


def numbered(labels: Sequence[str]) -> list[str]:
    """Spoken labels; those that occur several times are numbered in list order: `person (#1)`, `person (#2)`."""
    plain = [plain_label(label) for label in labels]
    totals, seen, names = Counter(plain), Counter[str](), []
    for label in plain:
        seen[label] += 1
        names.append(f"{label} (#{seen[label]})" if totals[label] > 1 else label)
    return names


def listed(opening: str, phrases: list[str]) -> str:
    """The sentence of one expert, or the empty string when there are no phrases; ends where there is no more room."""
    join, room, kept = ", and ", MAX_CHARACTERS - len(opening) - 1, []
    for phrase in phrases:
        kept.append(phrase[:room])
        room -= len(phrase) + len(join)
        if room <= 0:
            break
    return f"{opening}{join.join(kept)}." if kept else ""


def boxed_label(box: Box, label: str) -> str:
    """A label with its box in shares of the picture."""
    return f"[{box[0]:.2f}, {box[1]:.2f}, {box[2]:.2f}, {box[3]:.2f}] {label}"
