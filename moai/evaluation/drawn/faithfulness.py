"""How far answers about pictures unlike drawn scenes keep to what the experts saw.

moai eval faithfulness

The photographs and pages are those that scikit-image, scikit-learn and ultralytics carry; beside them stand a blank
picture and noise. Nobody knows the right answers here. What is scored is whether the model says what its experts saw.
"""

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from moai.assistant import MoAI
from moai.data.drawn.catalog import THING_LABELS
from moai.data.drawn.facts import asked_for
from moai.data.drawn.scoring import mentions
from moai.evaluation.options import add_assistant_options, assistant_of
from moai.terminal import Parser
from perception import Scene
from perception.files.whole import write_json
from perception.images import load_image
from perception.kinds.detection import DETECTION_THRESHOLD
from perception.kinds.ocr import OCR_THRESHOLD
from perception.kinds.segmentation import SEGMENT_THRESHOLD
from perception.words import plain_label
from weights import NANO

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "coins", "hubble_deep_field", "rocket")
PAGES = ("page", "text")
ABSENT = 6
"""Labels that no expert reported and that are asked for in each picture."""


def pictures() -> Iterator[tuple[str, str, np.ndarray]]:
    """(group, name, RGB picture) of all that is installed here."""
    from skimage import data

    for group, names in (("photographs", PHOTOGRAPHS), ("pages", PAGES)):
        for name in names:
            yield group, name, np.asarray(load_image(getattr(data, name)()))
    if importlib.util.find_spec("sklearn"):
        from sklearn.datasets import load_sample_image

        for name in ("china.jpg", "flower.jpg"):
            yield "photographs", name, load_sample_image(name)
    if (found := importlib.util.find_spec("ultralytics")) is not None:
        for name in ("bus.jpg", "zidane.jpg"):
            yield "photographs", name, np.asarray(load_image(Path(found.origin).parent / "assets" / name))
    yield "nothing", "blank", np.full((300, 400, 3), 255, np.uint8)
    yield "nothing", "noise", np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)


def seen_labels(scene: Scene) -> set[str]:
    """Labels that segmentation and detection were sure enough of to say them."""
    segments = {plain_label(one.label) for one in scene.segments if one.score >= SEGMENT_THRESHOLD}
    return segments | {one.label for one in scene.detections if one.score >= DETECTION_THRESHOLD}


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, in lower case."""
    return re.findall(r"\w+", text.lower())


def keeps_to_experts(scene: Scene, ask: Callable[[str], str], rng: np.random.Generator) -> dict[str, float]:
    """Shares, 0..1, for one picture; `ask` answers a question about it.

    "seen": labels that experts reported and the model confirms; "unseen": others that it denies; "described": things
    it describes that experts reported; "text": words it reads that OCR read, or 1 when there are none and it says so.
    What cannot be told (nothing was seen, nothing described) is left out.
    """
    seen = seen_labels(scene)
    figures = {}
    if seen:
        figures["seen"] = np.mean([ask(f"Is there {asked_for(label)}?") == "Yes" for label in sorted(seen)])
    absent = rng.choice(sorted(set(THING_LABELS) - seen), ABSENT, replace=False)
    figures["unseen"] = np.mean([ask(f"Is there {asked_for(str(label))}?") == "No" for label in absent])
    described = [one[2] for one in mentions(ask("Describe the picture.")) if one[0] == "thing"]
    if described:
        figures["described"] = np.mean([label in seen for label in described])
    lines = words_of(" ".join(one.text for one in scene.text_lines if one.score >= OCR_THRESHOLD))
    answer = ask("What text is in the picture?")
    read = words_of(answer)
    denied = answer.startswith("There is no ")
    figures["text"] = (
        float(denied) if not lines else 0.0 if denied else np.mean([word in lines for word in read or [""]])
    )
    return {name: float(value) for name, value in figures.items()}


def measure(assistant: MoAI, given: Iterator[tuple[str, str, np.ndarray]]) -> dict[str, dict[str, dict[str, float]]]:
    """group -> picture -> figures of `keeps_to_experts`."""
    rng, table = np.random.default_rng(0), {}
    for group, name, picture in given:
        encoded = assistant.encode(picture)
        figures = keeps_to_experts(encoded.scene, lambda question, one=encoded: assistant.ask(one, question).text, rng)
        table.setdefault(group, {})[name] = figures
    return table


def markdown(table: dict[str, dict[str, dict[str, float]]]) -> str:
    """Means of each group in percent."""
    columns = ("seen", "unseen", "described", "text")
    lines = ["| pictures | seen and confirmed | unseen and denied | described and seen | text read by OCR |"]
    lines.append("| --- " * (1 + len(columns)) + "|")
    for group, rows in table.items():
        cells = []
        for column in columns:
            values = [row[column] for row in rows.values() if column in row]
            cells.append(f"{100 * np.mean(values):.0f} %" if values else "")
        lines.append(f"| {group} ({len(rows)}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line; prints a Markdown table and, with --out, writes every picture's figures as JSON."""
    parser = Parser(prog="moai eval faithfulness", description=__doc__.splitlines()[0])
    add_assistant_options(parser, NANO)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    table = measure(assistant_of(arguments), pictures())
    print(markdown(table))
    if arguments.out is not None:
        write_json(arguments.out, table)
    return 0
