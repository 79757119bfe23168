"""Runs the published benchmarks: lmms-eval's tasks, data from the hub or from a local folder."""

import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from moai.assistant import MoAI
from moai.evaluation.answering import fingerprint
from moai.evaluation.catalogue import BENCHMARKS, Benchmark, what_to_download
from moai.evaluation.journal import Journal
from moai.evaluation.judge import Judge
from moai.evaluation.lmms.strict import evaluate, import_lmms_eval, some_key
from perception.files.whole import write_json

_HUB = ("huggingface.co", 443)
_REACH_SECONDS = 3


def prepare(names: Sequence[str], data: Path | None) -> None:
    """Everything that can fail before a model is loaded: raises ValueError, with one sentence, when lmms-eval or the
    data of a benchmark is missing."""
    import_lmms_eval("api.task")
    from loguru import logger  # what lmms-eval logs with, and brings along

    logger.disable("lmms_eval")  # its remarks would stand around our one sentence
    for name in names:
        _rows(BENCHMARKS[name], data, len(names) > 1)
    if names and data is None:
        _mind_the_network()


def _mind_the_network() -> None:
    """Without a way to the hub only data already fetched is tried, in place of minutes of attempts."""
    try:
        socket.create_connection(_HUB, timeout=_REACH_SECONDS).close()
    except OSError:
        import datasets
        import huggingface_hub.constants

        datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True


def _rows(benchmark: Benchmark, data: Path | None, several: bool = False) -> list[dict] | None:
    """The documents in a local folder, or in its part named after the benchmark; None without a folder."""
    from moai.evaluation.lmms.released import READERS, MissingData

    if data is None:
        return None
    folder = data / benchmark.name if several or (data / benchmark.name).is_dir() else data
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; {what_to_download(benchmark, str(folder))}")
    try:
        rows = READERS[benchmark.name](folder)
    except MissingData as error:
        raise ValueError(f"{folder} has no {error}; {what_to_download(benchmark, str(folder))}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder} is not {benchmark.title} as released; it must hold {benchmark.layout}") from error
    if not rows:
        raise ValueError(f"{folder} holds no question; {what_to_download(benchmark, str(folder))}")
    return rows


def load_task(benchmark: Benchmark, data: Path | None = None, rows: list[dict] | None = None):
    """lmms-eval's task of a benchmark, asking about `rows`, or about what the folder `data` or the hub holds.

    Its own scoring is left out, since some of it calls a server; ours is in `moai.evaluation.lmms.scores`.
    Raises ValueError, with one sentence, when the data cannot be had.
    """
    import datasets

    from moai.evaluation.lmms.released import PICTURE_COLUMN

    ConfigurableTask = import_lmms_eval("api.task").ConfigurableTask
    rows = _rows(benchmark, data) if rows is None else rows
    column = PICTURE_COLUMN.get(benchmark.name, "image")

    class LocalOrHubTask(ConfigurableTask):
        def download(self, dataset_kwargs=None) -> None:
            if rows is None:
                # The undecorated method: its retries would wait minutes for a network that is not there.
                ConfigurableTask.download.__wrapped__(self, dataset_kwargs)
                self.dataset = (
                    self.dataset.filter(lambda kind: kind == "image", input_columns="data_type")
                    if (benchmark.name == "seed-img")
                    else self.dataset
                )
            else:
                table = datasets.Dataset.from_list(rows)
                picture = datasets.Image()
                several = isinstance(rows[0][column], list)
                table = table.cast_column(column, datasets.List(picture) if several else picture)
                self.dataset = datasets.DatasetDict({self.config.test_split: table})
            self.dataset_no_image = datasets.DatasetDict(
                {name: part.remove_columns(column) for name, part in self.dataset.items()}
            )

    try:
        return LocalOrHubTask(config=_config(benchmark.task), model_name="moai")
    except Exception as error:
        if rows is not None:
            raise ValueError(f"{data} is not {benchmark.title} as released; it must hold {benchmark.layout}") from error
        raise ValueError(what_to_download(benchmark)) from error


def _config(task: str) -> dict:
    """A task's settings out of lmms-eval's own files, without its scoring and its demand to be logged in to the hub."""
    utils = import_lmms_eval("utils")
    tasks = Path(utils.__file__).parent / "tasks"
    path = min(tasks.rglob(f"{task}.yaml"), key=lambda found: len(found.parts))
    with some_key():
        config = utils.load_yaml_config(str(path), mode="full")
    config["dataset_kwargs"] = {}
    config["metric_list"] = [{"metric": "bypass", "aggregation": "bypass", "higher_is_better": True}]
    config["process_results"] = _unscored
    config.pop("filter_list", None)
    return config


def _unscored(document: dict, results: list) -> dict:
    return {"bypass": 0}


def run_benchmark(
    name: str,
    assistant: MoAI,
    model_name: str,
    folder: Path,
    data: Path | None = None,
    limit: int | None = None,
    batch_size: int = 8,
    judge: tuple[str, str] | None = None,
) -> dict | None:
    """Answers and scores one benchmark; what `folder` has answers to is not asked again.

    `folder` gets the answers, `settings.json` and `scores.json`, whose content is returned, and for a judged benchmark
    `submission.json`; `judge` is (URL, model). None in all but the first of several processes. Raises ValueError with
    one sentence for missing data, a bad judge, or a folder begun with other settings.
    """
    from moai.evaluation.lmms.judged import judged_scores, write_submission
    from moai.evaluation.lmms.model import MoAIHarness
    from moai.evaluation.lmms.scores import SCORERS

    benchmark = BENCHMARKS[name]
    judge = Judge(*judge) if judge else None
    task = load_task(benchmark, data)
    model = MoAIHarness(assistant=assistant, batch_size=batch_size)
    settings = {"benchmark": name, "model": model_name, "weights": fingerprint(assistant.model)}
    model.journal = Journal(folder, settings | {"data": str(data or "hub")}, model.rank)
    results = evaluate(model, [task], limit)
    if results is None:
        return None
    samples = [(one["doc"], one["filtered_resps"][0]) for one in results["samples"][benchmark.task]]
    if benchmark.judged:
        write_submission(name, samples, folder)
        score = partial(judged_scores, name, folder=folder, judge=judge) if judge else _counted
    else:
        score = SCORERS[name]
    result = settings | {"limit": limit, "scores": score(samples)}
    write_json(folder / "scores.json", result)
    return result


def _counted(samples: Sequence) -> dict:
    """What is known of a judged benchmark before a judge has seen it: how many questions were answered."""
    return {"questions": len(samples)}
