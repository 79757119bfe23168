"""Asks a model about photographs that people annotated, and scores its answers beside simpler means.

moai eval photos --pictures FOLDER
"""

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from moai.evaluation.answering import fingerprint
from moai.evaluation.cli import RESULTS, model_label
from moai.evaluation.journal import Journal
from moai.evaluation.metrics.wups import WordNet
from moai.evaluation.options import add_model_options, looking
from moai.evaluation.photos.answering import Asker, answer_key
from moai.evaluation.photos.item import Item, View, items_of, task, task_names
from moai.evaluation.photos.pictures import BUILTIN, Look, looked_at, views_of
from moai.evaluation.photos.report import markdown
from moai.evaluation.photos.scores import scores_of
from moai.evaluation.photos.speaker import Speaker
from moai.evaluation.photos.ways import MODEL, PLAIN, TUNED, Way, ways_of
from moai.loading import device_named, preset_of
from moai.terminal import Parser, guarded, quiet_libraries
from perception.files.whole import write_json, write_whole
from perception.verbalize import verbalize
from weights import DEFAULT_MODEL

ANSWERS, SCORES, REPORT = "photos.json", "scores.json", "report.md"


def parser() -> argparse.ArgumentParser:
    """Every option."""
    told = "\n".join(f"  {name:11} {task(name).about}" for name in task_names())
    named = {**ways_of([], True, True), "without X": Way("without X", "all experts but one, by its short name")}
    ways = "\n".join(f"  {name:11} {way.about}" for name, way in named.items())
    made = Parser(
        prog="moai eval photos",
        description=__doc__.splitlines()[0],
        epilog=f"tasks:\n{told}\n\nvariants:\n{ways}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--pictures",
        nargs="+",
        default=[BUILTIN],
        metavar="FOLDER",
        help="folders with annotations.json (see docs/how_to/benchmark.md), or builtin: pictures that scikit-image, "
        f"scikit-learn and ultralytics ship (default: {BUILTIN})",
    )
    add_model_options(made)
    made.add_argument("--tasks", type=_listed, default=task_names(), metavar="A,B", help="some of the tasks below")
    made.add_argument(
        "--variants", type=_listed, metavar="A,B", help="some of the ways of answering below (default: all)"
    )
    made.add_argument("--limit", type=int, help="only the first so many questions of each part of a task")
    made.add_argument("--batch-size", type=int, help="questions at once (default: 256 on CUDA, else 16)")
    made.add_argument(
        "--plain", metavar="MODEL", help="language model beside it (default: what the model was built from)"
    )
    made.add_argument(
        "--tuned", metavar="FOLDER", help="MoAI model taught on the experts' words as text, asked that way"
    )
    made.add_argument("--cache", type=Path, help="folder that keeps what experts see")
    made.add_argument("--seed", type=int, default=0, help="of what is drawn by chance (default: %(default)s)")
    made.add_argument("--out", type=Path, help=f"folder for answers, scores and report (default: one under {RESULTS})")
    made.add_argument("--score", type=Path, metavar="ANSWERS", help=f"only score a {ANSWERS} that was written before")
    made.add_argument("--wordnet", type=Path, metavar="FOLDER", help="index.noun and data.noun, for WUPS of DAQUAR")
    return made


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def main(argv: list[str] | None = None) -> int:
    """Command line; prints the report. 0 when it went well, 2 after one sentence on standard error when it did not."""
    words = sys.argv[1:] if argv is None else argv
    return guarded(lambda: _run(words))


def _run(argv: list[str]) -> None:
    arguments = parser().parse_args(argv)
    quiet_libraries()
    for name in arguments.tasks:
        task(name)
    wordnet = None if arguments.wordnet is None else WordNet(arguments.wordnet)
    if arguments.score is not None:
        record, folder = _read(arguments.score), arguments.out or arguments.score.parent
    else:
        folder = arguments.out or RESULTS / f"{model_label(arguments.model)}-photos"
        command = shlex.join(["moai", "eval", "photos", *argv])
        record = {"command": command} | answered(arguments, folder)
        write_json(folder / ANSWERS, record)
    scores = scores_of([Item.from_dict(one) for one in record["items"]], record["answers"], wordnet)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SCORES, scores)
    text = markdown(scores, record["command"])
    write_whole(folder / REPORT, text)
    print(text)
    print(f"written to {folder}")
    if arguments.score is None and arguments.pictures == [BUILTIN]:
        print("These are a few pictures that packages ship; --pictures FOLDER asks about others.")


def answered(arguments: argparse.Namespace, folder: Path) -> dict:
    """`settings`, `items` and `answers` of what was asked; a journal in `folder` keeps answers as they come.

    Raises ValueError with one sentence for settings that do not go together.
    """
    for name in ("limit", "batch_size"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    device = device_named(arguments.device)
    size = arguments.batch_size or (256 if device.type == "cuda" else 16)
    speaker = Speaker.moai(str(arguments.model or DEFAULT_MODEL), device, size)

    def asked_about(views: list[View]) -> list[Item]:
        return items_of(arguments.tasks, views, arguments.seed, arguments.limit)

    views = views_of(arguments.pictures)
    names = {item.picture for item in asked_about(views)}
    views = looked_at(views, names, lambda: _looking(arguments, speaker))
    built_from = speaker.model.config.built_from or {}
    plain = arguments.plain or built_from.get("language_model")
    ways = ways_of(views, plain is not None, arguments.tuned is not None)
    chosen = [_way(name, ways) for name in (ways if arguments.variants is None else arguments.variants)]
    items = asked_about(views)
    if not items:
        raise ValueError(f"these pictures have no questions for {', '.join(arguments.tasks)}; choose other --tasks")
    speakers: dict[str, Callable[[], Speaker]] = {
        MODEL: lambda: speaker,
        PLAIN: lambda: Speaker.language(str(plain), device, size),
        TUNED: lambda: Speaker.moai(arguments.tuned, device, size),
    }
    asker = Asker(speakers, views)
    for way in chosen:
        asker.speaker(way.speaker)  # what cannot be loaded is told before anything is asked
    settings = {
        "model": model_label(arguments.model),
        "weights": fingerprint(speaker.model),
        "plain": plain,
        "tuned": arguments.tuned,
        "scenes": _digest(views),
    }
    journal = Journal(folder, settings)
    asked = {way.name: [item for item in items if _sensible(way, item)] for way in chosen}
    with torch.compiler.set_stance("force_eager"):
        for way in chosen:
            asker.ask(way, asked[way.name], journal)
    answers = {
        way: {item.key: journal.answers[answer_key(way, item)] for item in part} for way, part in asked.items() if part
    }
    return {"settings": settings, "items": [item.to_dict() for item in items], "answers": answers}


def _sensible(way: Way, item: Item) -> bool:
    """Whether a way of answering is for an item: general questions have no picture, and "plain" is for them."""
    own = task(item.task).ways
    return way.name in own if own is not None else bool(item.picture) and way.name != "plain"


def _way(name: str, ways: dict[str, Way]) -> Way:
    if name not in ways:
        raise ValueError(f"there is no variant {name!r}; here are {', '.join(ways)}")
    return ways[name]


def _looking(arguments: argparse.Namespace, speaker: Speaker) -> Look:
    """The experts, for pictures whose folder does not say what they saw."""
    from perception import Perception
    from perception.cache import CachedPerception

    named = arguments.experts_from or preset_of(speaker.model.config)
    perception = Perception(experts_from=named, device=arguments.device, **looking(arguments))
    return perception.batch if arguments.cache is None else CachedPerception(perception, arguments.cache).batch


def _digest(views: list[View]) -> str:
    """A short name for all that the experts say of the pictures."""
    told = "\0".join(f"{view.name}\0{'' if view.scene is None else verbalize(view.scene)}" for view in views)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _read(path: Path) -> dict:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        [Item.from_dict(one) for one in record["items"]]
        return {"command": record["command"], "items": record["items"], "answers": dict(record["answers"])}
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror or 'input error'})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no answers; give the {ANSWERS} that `moai eval photos` wrote") from error


if __name__ == "__main__":
    raise SystemExit(main())
