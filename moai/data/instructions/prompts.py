"""Some 1,500 prompts of every sort, from the lists and templates of `prompts.txt`."""

from functools import lru_cache
from itertools import product
from pathlib import Path
from string import Formatter

import numpy as np

from moai.data.draws import shuffled


@lru_cache(maxsize=1)
def prompts() -> tuple[str, ...]:
    """All prompts, each once, always in the same order. They are of three parts: lists of words, templates that are
    filled with these ("ask", and how often at most), and single prompts."""
    lists, templates, single = (Path(__file__).parent / "prompts.txt").read_text(encoding="utf-8").strip().split("\n\n")
    words = {name: items.split(" | ") for name, items in (line.split(": ", 1) for line in lists.splitlines())}
    found: list[str] = []
    for number, line in enumerate(templates.splitlines()):
        count, template = line.removeprefix("ask ").split(": ", 1)
        slots = [slot for _, slot, *_ in Formatter().parse(template) if slot]
        fillings = shuffled(np.random.default_rng(number), list(product(*(words[slot] for slot in slots))))
        found += [template.format(**dict(zip(slots, one, strict=True))) for one in fillings[: int(count)]]
    return tuple(dict.fromkeys(shuffled(np.random.default_rng(0), [*found, *single.splitlines()])))
