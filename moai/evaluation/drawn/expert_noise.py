"""Text reading's real mistakes on drawn scenes beside those that training simulates, at each level of difficulty.

moai eval noise --scenes 60
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from supervision import box_iou

from moai.data.drawn.ground_truth import to_scene
from moai.data.drawn.levels import LEVELS
from moai.data.drawn.noise import errors_at, observe
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.evaluation.drawn.expert_accuracy import FIRST_SEED
from moai.terminal import Parser
from perception import Perception, Scene
from perception.kinds.ocr import OCR_THRESHOLD
from perception.scene import TextLine

SIMULATED = 30
"""Times that each scene is observed by the simulated expert."""
_SAME_LINE = 0.2
"""Boxes that overlap this much are of one line."""


@dataclass(frozen=True)
class Rates:
    """What a reader did: shares of all true lines, but `false` per scene, `wrong_characters` (edits) per misread line,
    and the mean `score` of what is said."""

    lines: int
    exact: float
    dropped: float
    misread: float
    false: float
    wrong_characters: float
    score: float


def edits(a: str, b: str) -> int:
    """Fewest characters to change, take away or put in to turn one text into the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


def partners(true: list[TextLine], said: list[TextLine]) -> list[TextLine | None]:
    """For each true line what was said of it: the same text first, then what stands in its place; None if nothing."""
    free = list(said)
    found: list[TextLine | None] = [None] * len(true)
    for alike in (lambda a, b: a.text == b.text, lambda a, b: box_iou(a.box, b.box) >= _SAME_LINE):
        for index, line in enumerate(true):
            if found[index] is None:
                found[index] = next((one for one in free if alike(line, one)), None)
                if found[index] is not None:
                    free = [one for one in free if one is not found[index]]
    return found


def rates(pairs: Iterable[tuple[Scene, Scene]]) -> Rates:
    """The rates over pairs of (truth, seen); of what is seen, only lines that verbalisation says count.

    Raises ValueError when no scene has a line.
    """
    counts, scenes, wrong, scores = Counter(), 0, [], []
    for truth, seen in pairs:
        scenes += 1
        said = [line for line in seen.text_lines if line.score >= OCR_THRESHOLD]
        scores += [line.score for line in said]
        found = partners(truth.text_lines, said)
        counts["false"] += len(said) - sum(one is not None for one in found)
        for line, one in zip(truth.text_lines, found, strict=True):
            kind = "dropped" if one is None else "exact" if one.text == line.text else "misread"
            counts[kind] += 1
            if kind == "misread":
                wrong.append(edits(line.text, one.text))
    lines = counts["exact"] + counts["dropped"] + counts["misread"]
    if not lines:
        raise ValueError("no scene has a line of text")
    shares = {kind: counts[kind] / lines for kind in ("exact", "dropped", "misread")}
    mean_wrong, mean_score = (float(np.mean(values)) if values else 0.0 for values in (wrong, scores))
    return Rates(lines, **shares, false=counts["false"] / scenes, wrong_characters=mean_wrong, score=mean_score)


def compare(perception: Perception, difficulty: float, scenes: int, first_seed: int = FIRST_SEED) -> dict[str, Rates]:
    """Rates of the real reader and of the simulated one on the same scenes."""
    real, simulated = [], []
    for seed in range(first_seed, first_seed + scenes):
        layout = sample_layout(seed, difficulty)
        drawn = render(layout)
        truth = to_scene(layout, drawn)
        real.append((truth, perception(drawn.image)))
        rng = np.random.default_rng((seed, 0x0C2))
        simulated += [(truth, observe(truth, rng, errors=errors_at(difficulty))) for _ in range(SIMULATED)]
    return {"real": rates(real), "simulated": rates(simulated)}


def table(results: dict[str, dict[str, Rates]]) -> str:
    """A Markdown table: a row for each level and reader."""
    rows = [
        "| level | reader | lines | exact | dropped | misread | false lines a scene | wrong characters | mean score |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for level, readers in results.items():
        for reader, one in readers.items():
            shares = " | ".join(f"{share:.1%}" for share in (one.exact, one.dropped, one.misread))
            rest = f"{one.false:.3f} | {one.wrong_characters:.1f} | {one.score:.4f}"
            rows.append(f"| {level} | {reader} | {one.lines} | {shares} | {rest} |")
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = Parser(prog="moai eval noise", description="Compare text reading's mistakes with the simulated ones.")
    parser.add_argument("--scenes", type=int, default=60, help="at each level (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    options = parser.parse_args(argv)
    perception = Perception("ocr")
    results = {
        level: compare(perception, difficulty, options.scenes, options.first_seed)
        for level, difficulty in LEVELS.items()
    }
    print(table(results))
