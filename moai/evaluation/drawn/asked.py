"""Questions about drawn scenes for `moai eval strategies`."""

import zlib
from collections.abc import Callable

import numpy as np

from moai.data.drawn.scoring import score
from moai.data.splits import ANSWERS
from moai.evaluation.drawn.answers import perceived_examples
from moai.evaluation.strategies.questions import Asked
from perception.scene import Scene


def about_drawn_scenes(look: Callable[[np.ndarray], Scene], count: int, level: str = "hard") -> list[Asked]:
    """`count` questions in held-out wording about held-out drawn scenes, with held-out words on signs."""
    made = []
    examples = perceived_examples(look, count, ANSWERS.start, wording="heldout", words="heldout", level=level)
    for number, example in enumerate(examples):
        picture = f"scene-{zlib.crc32(example.picture.tobytes()):08x}"
        made.append(
            Asked(
                f"{picture}/{number}",
                example.question.kind,
                example.question.question,
                lambda text, question=example.question: float(score(question, text)),
                picture,
                lambda pixels=example.picture: pixels,
                example.scene,
            )
        )
    return made
