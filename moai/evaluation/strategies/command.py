"""Compares drafts and contrast with the greedy answer, on questions that can be marked.

moai eval strategies --pictures FOLDER
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from moai.evaluation.answering import fingerprint
from moai.evaluation.journal import Journal, rows_in
from moai.evaluation.options import add_expert_options, looking
from moai.evaluation.photos.pictures import BUILTIN
from moai.evaluation.photos.speaker import Speaker
from moai.evaluation.strategies.asking import Asker, ways
from moai.evaluation.strategies.questions import Asked, about_photographs, divided, in_text
from moai.evaluation.strategies.table import report
from moai.inference.strategies.deliberation import check_samples, check_windows
from moai.inference.strategies.weak import check_possible, check_weak
from moai.loading import device_named, preset_of
from moai.terminal import Parser, guarded, quiet_libraries
from weights import DEFAULT_MODEL

REPORT = "report.md"


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = Parser(prog="moai eval strategies", description=__doc__.splitlines()[0])
    about = made.add_mutually_exclusive_group()
    about.add_argument("--pictures", action="append", metavar="FOLDER", help="photographs, as for moai eval photos")
    about.add_argument("--drawn", type=int, metavar="N", help="so many questions about hard drawn scenes")
    about.add_argument("--text", type=Path, metavar="JSONL", help="question and answer on each line, without pictures")
    made.add_argument("--model", help=f"a MoAI model; with --text any causal model (default: {DEFAULT_MODEL.name})")
    add_expert_options(made)
    made.add_argument("--device", help="cpu, cuda, ... (default: cuda where there is one)")
    made.add_argument("--samples", type=int, default=30, metavar="N", help="drafts of each question (default: 30)")
    made.add_argument("--temperatures", type=float, nargs="*", default=[0.7, 1.0, 1.5], metavar="T", help="of drafts")
    made.add_argument(
        "--strengths", type=float, nargs="*", default=[0.1, 0.3, 0.5, 0.7, 0.9], metavar="B", help="of contrast"
    )
    made.add_argument("--weak", nargs="*", default=["no-aux", "second"], metavar="SIDE", help="weak sides of contrast")
    made.add_argument("--aggregate", action="store_true", help="also one answer made out of the drafts, in windows")
    made.add_argument("--window", type=int, default=6, metavar="N", help="answers that are combined at once")
    made.add_argument("--reserve", type=int, default=3, metavar="N", help="places of a window for the answer so far")
    made.add_argument("--tokens", type=int, default=24, metavar="N", help="of an answer, at most (default: 24)")
    made.add_argument("--limit", type=int, metavar="N", help="questions of each group")
    made.add_argument("--batch-size", type=int, default=64, metavar="N", help="answers at once (default: 64)")
    made.add_argument("--seed", type=int, default=0, help="of the drafts (default: 0)")
    made.add_argument("--beside", type=Path, metavar="FOLDER", help="--out of another model that was asked the same")
    made.add_argument("--out", type=Path, default=Path("runs/strategies"), help="folder for answers and report")
    return made


def main(argv: list[str] | None = None) -> int:
    """Command line; prints the report. 0 when it went well, 2 after one sentence on standard error when it did not."""
    words = sys.argv[1:] if argv is None else argv
    return guarded(lambda: _run(words))


def _run(argv: list[str]) -> None:
    arguments = parser().parse_args(argv)
    quiet_libraries()
    check_samples(arguments.samples)
    check_windows(arguments.window, arguments.reserve)
    for name in arguments.weak:
        check_weak(name)
    chosen = ways(arguments.samples, arguments.temperatures, arguments.strengths, arguments.weak)
    device = device_named(arguments.device)
    named = str(arguments.model or DEFAULT_MODEL)
    made = Speaker.language if arguments.text is not None else Speaker.moai
    speaker = made(named, device, arguments.batch_size)
    for name in arguments.weak:
        check_possible(name, speaker.model)
    asked = _asked(arguments, speaker)
    beside = None if arguments.beside is None else _other(arguments.beside, asked)
    divided(asked)  # refuses too few questions before any is asked
    settings = {
        "model": fingerprint(speaker.model), "tokens": arguments.tokens, "seed": arguments.seed,
        "samples": arguments.samples, "questions": [one.key for one in asked],
    }  # fmt: skip
    journal = Journal(arguments.out, settings)
    asker = Asker(speaker, arguments.tokens, arguments.seed)
    for way in chosen:
        asker.ask(way, asked, journal)
        if arguments.aggregate and way.copies > 1:
            asker.aggregate(way, arguments.window, arguments.reserve, asked, journal)
        print(f"{way.name}: answered", file=sys.stderr)
    text = report(asked, journal.answers, shlex.join(["moai", "eval", "strategies", *argv]), beside)
    (arguments.out / REPORT).write_text(text, encoding="utf-8")
    print(text)


def _other(folder: Path, asked: Sequence[Asked]) -> dict[str, str]:
    """The answers of another model's run; raises ValueError with one sentence where it was asked other questions."""
    answers = {row["key"]: row["answer"] for row in rows_in(folder)}
    if missing := sum(f"greedy|{one.key}" not in answers for one in asked):
        raise ValueError(f"{folder} has no greedy answers to {missing} of these {len(asked)} questions; ask the same")
    return answers


def _asked(arguments: argparse.Namespace, speaker: Speaker) -> list[Asked]:
    if arguments.text is not None:
        return in_text(arguments.text)
    from perception import Perception

    def perception() -> Perception:
        named = arguments.experts_from or preset_of(speaker.model.config)
        return Perception(experts_from=named, device=arguments.device, **looking(arguments))

    if arguments.drawn is not None:
        from moai.evaluation.drawn.asked import about_drawn_scenes

        return about_drawn_scenes(perception(), arguments.drawn)
    return about_photographs(arguments.pictures or [BUILTIN], lambda: perception().batch, arguments.limit)


if __name__ == "__main__":
    raise SystemExit(main())
