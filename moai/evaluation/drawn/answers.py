"""Scores an assistant's answers on held-out drawn scenes, with the real experts in the loop.

moai eval answers --questions 500
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from moai.data.drawn.levels import LEVELS
from moai.data.drawn.questions.ask import KINDS, ask
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.data.drawn.text.words import sign_text
from moai.data.splits import ANSWERS, HELD_OUT_SEED
from moai.evaluation.drawn.by_kind import Example, answer_examples, print_table, tabulate
from moai.evaluation.options import add_assistant_options, assistant_of
from moai.terminal import Parser
from perception import registry
from perception.cache import CachedPerception
from perception.files.whole import write_json
from perception.scene import Scene
from weights import NANO

VARIANTS = {"all experts": tuple(kind.name for kind in registry.kinds()), "aux emptied": (), "backbone alone": None}
"""Whose words the model gets: all; none, mixers running; none, mixers off."""


def perceived_examples(
    look: Callable[[np.ndarray], Scene],
    count: int,
    first_seed: int,
    per_image: int = 5,
    wording: str = "train",
    words: str = "train",
    level: str = "medium",
    kinds: Sequence[str] = KINDS,
) -> Iterator[Example]:
    """`count` or a few more questions about held-out pictures, with what `look` sees in each (uint8 (H, W, 3)).

    `wording` is that of the questions and `kinds` are theirs (see `moai.data.drawn.questions.ask.ask`), `words` are
    those on signs (see `moai.data.drawn.text.words.sign_text`), `level` is one of `moai.data.drawn.levels.LEVELS`.
    """
    given, seed = 0, first_seed
    while given < count:
        layout = sample_layout(seed, LEVELS[level], partial(sign_text, split=words))
        picture = render(layout).image
        scene = look(picture)
        for question in ask(layout, np.random.default_rng((seed, 3)), per_image, kinds, wording):
            given += 1
            yield Example(picture, scene, question)
        seed += 1


def _some_of(allowed: Iterable[str], what: str, names: str) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in names.split(","))
    if unknown := set(chosen) - set(allowed):
        raise argparse.ArgumentTypeError(f"unknown {what} {min(unknown)!r}; allowed are {', '.join(allowed)}")
    return chosen


def main(argv: list[str] | None = None) -> int:
    """Command line; prints a Markdown table and, with --out, writes it and the command as JSON."""
    parser = Parser(prog="moai eval answers", description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=500, help="how many (default: %(default)s)")
    add_assistant_options(parser, NANO)
    parser.add_argument("--cache", type=Path, help="folder that keeps what the experts see, for later or elsewhere")
    parser.add_argument("--first-seed", type=int, default=ANSWERS.start, help="of the held-out scenes")
    parser.add_argument("--wording", choices=("train", "heldout"), default="train", help="of the questions")
    parser.add_argument("--words", choices=("train", "heldout"), default="train", help="on signs")
    parser.add_argument("--level", choices=LEVELS, default="medium", help="of the scenes (default: %(default)s)")
    kinds, variants = partial(_some_of, KINDS, "kind"), partial(_some_of, VARIANTS, "variant")
    parser.add_argument("--kinds", type=kinds, default=KINDS, help=f"of questions, some of {','.join(KINDS)}")
    parser.add_argument("--variants", type=variants, default=tuple(VARIANTS), help=f"some of {','.join(VARIANTS)}")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    if arguments.first_seed < HELD_OUT_SEED:
        parser.error(f"--first-seed must be at least {HELD_OUT_SEED}: scenes below it are trained on")
    assistant = assistant_of(arguments)
    sources = {name: getattr(arguments, name) for name in ("wording", "words", "level", "kinds")}
    look = assistant.perceive if arguments.cache is None else CachedPerception(assistant.perception, arguments.cache)
    examples = list(perceived_examples(look, arguments.questions, arguments.first_seed, **sources))
    tables = {
        name: tabulate(examples, answer_examples(assistant.model, assistant.processor, examples, VARIANTS[name], 25))
        for name in arguments.variants
    }
    print(print_table(tables))
    if arguments.out is not None:
        command = shlex.join(["moai", "eval", "answers", *(sys.argv[1:] if argv is None else argv)])
        write_json(arguments.out, {"command": command, "scores": tables})
    return 0
