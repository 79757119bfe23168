"""What each expert gives: questions that its words answer, asked with all experts, without it, and with it alone.

moai eval contribution
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from moai.assistant import MoAI
from moai.data.drawn.catalog import COCO_THINGS, STUFF_LABELS
from moai.data.drawn.levels import LEVELS
from moai.data.drawn.question import NEGATIVE, Question
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.data.drawn.scoring import labels_in, score
from moai.data.splits import EXPERT_CONTRIBUTION, HELD_OUT_SEED
from moai.evaluation.answering import without
from moai.evaluation.drawn.by_kind import Example, answer_examples
from moai.evaluation.options import add_assistant_options, assistant_of
from moai.terminal import Parser
from perception import registry
from perception.files.whole import write_json
from weights import NANO

_QUESTIONS = {
    "segmentation": ("existence", "surface"),
    "detection": ("existence", "count"),
    "scene_graph": ("relation",),
    "ocr": ("reading",),
}
"""The kinds of questions among which each expert's own are looked for. The drawn world has none about other kinds of
experts, which then have no row."""
_STUFF = frozenset(STUFF_LABELS)
_SEGMENTED = _STUFF | frozenset(COCO_THINGS)
_PER_PICTURE = 4
_ASKED = 16


def is_own(expert: str, question: Question) -> bool:
    """True when what the expert looks at answers the question and what others look at does not.

    Segmentation alone says what the background is made of, and detection alone names the things that COCO does not
    know; of the others both speak. The scene graph says relations, OCR what is written.
    """
    named = labels_in(question.question)
    if expert == "segmentation":
        return question.kind == "surface" or (bool(named) and named <= _STUFF)
    if expert == "detection":
        return bool(named) and not named & _SEGMENTED
    return question.detail != NEGATIVE


def own_examples(
    assistant: MoAI, scenes: int, first_seed: int, wording: str, level: str
) -> Iterator[tuple[str, Example, Example]]:
    """(expert, example, the same example where that expert did not look) for each of its own questions, up to four a
    picture, about held-out scenes. Others may see less without it: the scene graph has stuff from segmentation."""
    for seed in range(first_seed, first_seed + scenes):
        layout = sample_layout(seed, LEVELS[level])
        picture = render(layout).image
        scene = assistant.perceive(picture)
        for number, (expert, kinds) in enumerate(_QUESTIONS.items()):
            if expert not in assistant.perception.experts:
                continue
            asked = ask(layout, np.random.default_rng((seed, 5, number)), _ASKED, kinds, wording)
            asked = [one for one in asked if is_own(expert, one)][:_PER_PICTURE]
            others = without(expert, assistant.perception.experts)
            bereft = assistant.perceive(picture, experts=others) if asked else None
            for question in asked:
                yield expert, Example(picture, scene, question), Example(picture, bereft, question)


def compared(assistant: MoAI, examples: list[tuple[str, Example, Example]]) -> dict[str, dict[str, float]]:
    """For each expert the number of its `questions`, and the mean scores, 0..1, with all experts, without it, with the
    words of it alone, and with none (`aux emptied`)."""
    table = {}
    for expert in assistant.perception.experts:
        own = [example for name, example, _ in examples if name == expert]
        if not own:
            continue
        bereft = [example for name, _, example in examples if name == expert]
        asked = {
            "all experts": (own, tuple(one.name for one in registry.kinds())),
            "without it": (bereft, without(expert)),
            "it alone": (own, (expert,)),
            "aux emptied": (own, ()),
        }
        table[expert] = {"questions": len(own)}
        for name, (those, experts) in asked.items():
            answers = answer_examples(assistant.model, assistant.processor, those, experts, 25)
            scores = [score(one.question, answer) for one, answer in zip(those, answers, strict=True)]
            table[expert][name] = float(np.mean(scores))
    return table


def markdown(table: dict[str, dict[str, float]]) -> str:
    """The table in percent."""
    columns = ("all experts", "without it", "it alone", "aux emptied")
    lines = ["| expert | questions | " + " | ".join(columns) + " |", "| --- " * 6 + "|"]
    for expert, row in table.items():
        scores = " | ".join(f"{row[name]:.1%}" for name in columns)
        lines.append(f"| {expert.replace('_', ' ')} | {row['questions']} | {scores} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line; prints a Markdown table and, with --out, writes it as JSON."""
    parser = Parser(prog="moai eval contribution", description=__doc__.splitlines()[0])
    add_assistant_options(parser, NANO)
    parser.add_argument("--scenes", type=int, default=100, help="held-out pictures (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=EXPERT_CONTRIBUTION.start, help="of the held-out scenes")
    parser.add_argument("--wording", choices=("train", "heldout"), default="heldout", help="of the questions")
    parser.add_argument("--level", choices=LEVELS, default="medium", help="of the scenes (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    if arguments.scenes < 1:
        parser.error(f"--scenes must be at least 1, got {arguments.scenes}")
    if arguments.first_seed < HELD_OUT_SEED:
        parser.error(f"--first-seed must be at least {HELD_OUT_SEED}: scenes below it are trained on")
    assistant = assistant_of(arguments)
    given = (arguments.scenes, arguments.first_seed, arguments.wording, arguments.level)
    table = compared(assistant, list(own_examples(assistant, *given)))
    print(markdown(table))
    if arguments.out is not None:
        write_json(arguments.out, table)
    return 0
