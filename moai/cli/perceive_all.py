"""`moai perceive --all`: experts look at every picture of a data set once, and what they see is kept."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perception.files.whole import write_json


def perceive_all(
    source: str,
    cache: Path | None,
    images: Path | None,
    experts_from: str | None,
    workers: int,
    looks: Mapping[str, Any],
) -> None:
    """Fills `cache` with the scenes of a folder of pictures, a file of conversations or an experiment's data.
    `looks` has more for Perception, by name.

    Prints how far it is, and in the end what was skipped. Raises ValueError with one sentence for a source that cannot
    be read, an unknown preset, or a missing cache.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from perception import Perception
    from perception.cache import CachedPerception
    from perception.cache.fill import fill
    from perception.presets import DEFAULT

    pictures, named_cache, named_preset = _pictures(source, images)
    folder = cache or named_cache
    if folder is None:
        raise ValueError("say with --cache where what the experts see is kept")
    preset = experts_from or named_preset or DEFAULT
    cached = CachedPerception(Perception(experts_from=preset, cache_size=0, **looks), folder)
    console, started = Console(stderr=True), time.monotonic()
    counts, problems = {"new": 0, "there": 0}, {}
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(pictures), rate="")
        for looked in fill(cached, pictures, workers):
            if looked.problem is None:
                counts["there" if looked.there else "new"] += 1
            else:
                problems[looked.name] = looked.problem
            rate = f"{counts['new'] / (time.monotonic() - started):.1f} pictures/s"
            progress.update(task, advance=1, rate=rate)
    seconds = time.monotonic() - started
    if hasattr(pictures, "skipped"):
        problems = pictures.skipped.entries() | problems
    rate = f" ({counts['new'] / seconds:.1f} pictures/s)" if counts["new"] else ""
    print(f"{counts['new']:,} pictures looked at in {seconds:.0f} s{rate}, {counts['there']:,} were there")
    report = cached.folder / "skipped.json"
    report.unlink(missing_ok=True)
    if problems:
        write_json(report, problems)
        print(f"{len(problems):,} skipped, listed in {report}:")
        for name, problem in list(problems.items())[:5]:
            print(f"  {name}: {problem}")
    if not counts["new"] and not counts["there"]:
        raise ValueError("no picture could be looked at")


def _pictures(source: str, images: Path | None):
    """The pictures, and the cache and preset that an experiment names for them."""
    from moai.data.pictures import pictures_in, pictures_of_data, pictures_of_file

    path = Path(source).expanduser()
    if path.suffix in (".yaml", ".yml"):
        from moai.training.experiment import ModelExperiment, load_experiment

        experiment = load_experiment(path)
        if not isinstance(experiment, ModelExperiment):
            raise ValueError(f"{path} trains an expert, from pictures that it draws")
        return pictures_of_data(experiment.data), _named(experiment.data, "cache"), _preset(experiment)
    if path.is_dir():
        return pictures_in(path), None, None
    if not path.is_file():
        raise ValueError(
            f"there is no {path}; give a folder of pictures, a file of conversations (.json, .jsonl) or an experiment "
            "(.yaml)"
        )
    return pictures_of_file(path, images), None, None


def _named(data, setting: str) -> str | None:
    """What the sources of an experiment name; raises ValueError where they differ."""
    names = {str(one[setting]) for one in data if one.get(setting) is not None}
    if len(names) > 1:
        raise ValueError(f"the sources name several of {setting} ({', '.join(sorted(names))}); give one as an option")
    return next(iter(names), None)


def _preset(experiment) -> str | None:
    """The preset of experts that an experiment trains with."""
    from moai.models.configuration import MoAIConfig

    named = _named(experiment.data, "experts_from")
    if named is None and experiment.init is not None and (Path(experiment.init) / "config.json").is_file():
        named = MoAIConfig.from_pretrained(experiment.init).experts_from
    return named
