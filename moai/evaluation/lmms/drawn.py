"""The `drawn` suite as tasks of lmms-eval, for `--include_path moai/evaluation/lmms/tasks` and for our own runs."""

from functools import partial
from pathlib import Path

import datasets

from moai.assistant import MoAI
from moai.evaluation.answering import fingerprint
from moai.evaluation.drawn.documents import PARTS, SCENES, Document, make_documents, scene_image
from moai.evaluation.drawn.run import MAX_NEW_TOKENS
from moai.evaluation.drawn.scores import drawn_scores
from moai.evaluation.journal import Journal
from moai.evaluation.lmms.model import MoAIHarness
from moai.evaluation.lmms.strict import evaluate, import_lmms_eval
from perception.files.whole import write_json

ConfigurableTask = import_lmms_eval("api.task").ConfigurableTask
METRICS = {
    "pope": ("accuracy", "precision", "recall", "f1", "yes_ratio"),
    "mme": ("score",),
    "textvqa": ("accuracy",),
    "mmbench": ("circular", "plain"),
}


class DrawnTask(ConfigurableTask):
    """One part of the suite. Its documents are made here, from held-out seeds; nothing is downloaded."""

    PART = ""

    def __init__(
        self,
        config: dict | None = None,
        part: str | None = None,
        scenes: int = SCENES,
        evaluation_seed: int = 0,
        limit: int | None = None,
    ):
        self.part = part or self.PART
        self.documents = make_documents((self.part,), scenes, evaluation_seed, limit)
        metrics = [
            {"metric": name, "aggregation": partial(_aggregate, self.part, name), "higher_is_better": True}
            for name in METRICS[self.part]
        ]
        super().__init__(
            config={
                "task": f"drawn_{self.part}",
                "test_split": "test",
                "output_type": "generate_until",
                "doc_to_visual": _image,
                "doc_to_text": _question,
                "doc_to_target": _answer,
                "process_results": partial(_marked, METRICS[self.part]),
                "metric_list": metrics,
                "generation_kwargs": {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False, "until": []},
                "metadata": {"version": 1},
            }
        )

    def download(self, dataset_kwargs=None) -> None:
        """Makes the documents into a data set."""
        rows = datasets.Dataset.from_list([one.to_dict() for one in self.documents])
        self.dataset = self.dataset_no_image = datasets.DatasetDict({"test": rows})


class DrawnPope(DrawnTask):
    """POPE's format."""

    PART = "pope"


class DrawnMME(DrawnTask):
    """MME's format."""

    PART = "mme"


class DrawnTextVQA(DrawnTask):
    """TextVQA's format."""

    PART = "textvqa"


class DrawnMMBench(DrawnTask):
    """MMBench's circular format."""

    PART = "mmbench"


def _image(doc: dict) -> list:
    return [scene_image(doc["scene"])]


def _question(doc: dict) -> str:
    return doc["question"]


def _answer(doc: dict) -> str:
    return doc["answer"]


def _marked(metrics: tuple[str, ...], doc: dict, results: list[str]) -> dict:
    return dict.fromkeys(metrics, (dict(doc), results[0]))


def _aggregate(part: str, metric: str, rows: list[tuple[dict, str]]) -> float:
    documents = [Document(**doc | {"options": tuple(doc["options"])}) for doc, _ in rows]
    answers = {doc["key"]: text for doc, text in rows}
    return drawn_scores(documents, answers)[part][metric]


def run_drawn_in_harness(
    assistant: MoAI,
    model_name: str,
    folder: Path,
    limit: int | None = None,
    batch_size: int = 8,
    scenes: int = SCENES,
    evaluation_seed: int = 0,
) -> dict | None:
    """As `evaluation.drawn.run.run_drawn`, with lmms-eval asking; None in all but the first of several processes."""
    tasks = [DrawnTask(None, part, scenes, evaluation_seed, limit) for part in PARTS]
    settings = {
        "benchmark": "drawn",
        "model": model_name,
        "weights": fingerprint(assistant.model),
        "evaluation seed": evaluation_seed,
        "through": "lmms-eval",
    }
    model = MoAIHarness(assistant=assistant, batch_size=batch_size)
    model.journal = Journal(folder, settings, model.rank)
    results = evaluate(model, tasks)
    if results is None:
        return None
    samples = [sample for task in tasks for sample in results["samples"][task.config.task]]
    answers = {sample["doc"]["key"]: sample["filtered_resps"][0] for sample in samples}
    documents = [one for task in tasks for one in task.documents]
    result = settings | {"scenes": scenes, "limit": limit, "scores": drawn_scores(documents, answers)}
    write_json(folder / "predictions.json", answers)
    write_json(folder / "scores.json", result)
    return result
