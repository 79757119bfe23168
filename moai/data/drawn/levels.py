"""How hard a drawn scene is: a number from 0 (plain) to 1 (hardest), with names for the levels that scores are told at.

Everything grows evenly with the number; which scene gets a share of it is drawn anew for each.

| | 0 | easy 0.2 | medium 0.5 | hard 0.9 | 1 |
|---|---|---|---|---|---|
| most objects | 5 | 6 | 8 | 11 | 12 |
| smallest single object, px of 384 | 44 | 41 | 36 | 30 | 29 |
| a thing is a look-alike of another | 0.05 | 0.1 | 0.2 | 0.3 | 0.35 |
| a unit may cover others | 0.1 | 0.2 | 0.4 | 0.6 | 0.7 |
| most signs | 3 | 4 | 4 | 5 | 5 |
| smallest letters, px of font size | 21 | 19.5 | 17.5 | 14.5 | 14 |
| condensed and handwriting-like fonts | 0 | 0.1 | 0.25 | 0.45 | 0.5 |
| pale letters, signs tilted in depth | 0 | 0.1 | 0.25 | 0.45 | 0.5 |
| blurred or of low resolution | 0 | 0.1 | 0.25 | 0.45 | 0.5 |
| JPEG, noise (each) | 0 | 0.1 | 0.25 | 0.45 | 0.5 |
| night | 0 | 0.05 | 0.12 | 0.22 | 0.25 |
"""

import numpy as np

EASY, MEDIUM, HARD = 0.2, 0.5, 0.9
LEVELS: dict[str, float] = {"easy": EASY, "medium": MEDIUM, "hard": HARD}
"""The levels that scores are told at; medium is the default everywhere."""


def check(difficulty: float) -> None:
    """Raises ValueError for a difficulty out of 0..1."""
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty must be within 0..1, got {difficulty}")


def mixed(seed: int) -> float:
    """The difficulty of a scene where all are wanted: drawn evenly from 0..1, the same for the same seed."""
    return float(np.random.default_rng((seed, 0xD1FF)).random())


def between(difficulty: float, plain: float, hardest: float) -> float:
    """What is `plain` at difficulty 0 and `hardest` at 1, on a straight line."""
    return plain + (hardest - plain) * difficulty
