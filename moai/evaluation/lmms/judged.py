"""MM-Vet and MathVista: the file that their evaluators take, and scores from a judge."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from moai.evaluation.journal import Journal
from moai.evaluation.judge import Judge
from moai.evaluation.lmms.strict import import_lmms_eval
from moai.evaluation.metrics.multiple_choice import LETTERS
from perception.files.whole import write_json

Samples = Sequence[tuple[dict, str]]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SUBMISSION = "submission.json"


def write_submission(name: str, samples: Samples, folder: Path) -> Path:
    """Writes the answers in the form that the benchmark's own evaluator takes, and returns the file.

    MM-Vet: {"v1_0": answer, ...}. MathVista: {"1": {the problem, its query and the response}, ...}.
    """
    if name == "mm-vet":
        content = {one["question_id"]: text for one, text in samples}
    else:
        content = {one["pid"]: _plain(one) | {"response": text} for one, text in samples}
    write_json(folder / _SUBMISSION, content)
    return folder / _SUBMISSION


def judged_scores(name: str, samples: Samples, folder: Path, judge: Judge) -> dict:
    """The judge's scores, in percent. Verdicts are kept in `folder`/judge; a cut-off run asks for the rest alone.

    Raises ValueError, with one sentence, when the judge cannot be asked.
    """
    prompt_of, key_of, score = _JUDGED[name]
    journal = Journal(folder / "judge", {"benchmark": name, "judge": judge.model})
    # A verdict is about one answer; another answer to the same question is judged anew.
    keys = [f"{one[key_of]}: {text}" for one, text in samples]
    for key, (one, text) in tqdm(list(zip(keys, samples, strict=True)), desc="judge"):
        if key not in journal.answers:
            journal.add([{"key": key, "answer": judge.ask(prompt_of(one, text))}])
    return score(samples, [journal.answers[key] for key in keys])


def mmvet_scores(samples: Samples, verdicts: Sequence[str]) -> dict:
    """The mean of the judge's scores, overall and for each capability, 0..100.

    The first number of a verdict counts, kept within 0..1; a verdict without one is 0.
    Source: Yu et al. 2023, "MM-Vet" (arXiv 2308.02490), section 3.3.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for (one, _), verdict in zip(samples, verdicts, strict=True):
        number = _NUMBER.search(verdict)
        value = min(max(float(number[0]), 0.0), 1.0) if number else 0.0
        for name in ("score", *one["capability"].split(",")):
            found[name].append(value)
    means = {name: 100 * sum(values) / len(values) for name, values in found.items()}
    return {"score": means.pop("score"), "questions": len(samples)} | dict(sorted(means.items()))


def mathvista_scores(samples: Samples, verdicts: Sequence[str]) -> dict:
    """The share of problems whose extracted answer equals the true one, overall and by task, 0..100.

    Source: Lu et al. 2023, "MathVista" (arXiv 2310.02255), section 3: extract, normalise, compare.
    """
    found: dict[str, list[bool]] = defaultdict(list)
    for (one, _), verdict in zip(samples, verdicts, strict=True):
        right = normalised_extraction(verdict, one) == str(one["answer"]).strip()
        for name in ("accuracy", (one.get("metadata") or {}).get("task")):
            if name:
                found[name].append(right)
    means = {name: 100 * sum(values) / len(values) for name, values in found.items()}
    return {"accuracy": means.pop("accuracy"), "questions": len(samples)} | dict(sorted(means.items()))


def normalised_extraction(text: str, problem: Mapping) -> str | None:
    """An extracted answer in the form of the problem's answers: the option behind a letter, a whole number, a number
    rounded to the problem's precision, or the text itself; None where it has no such form."""
    text = text.strip()
    if problem["question_type"] == "multi_choice":
        letter = re.match(r"\(?([A-Z])\)?(?=$|[\s.:,)])", text)
        choices = problem["choices"]
        if letter and letter[1] in LETTERS[: len(choices)]:
            return choices[LETTERS.index(letter[1])]
        return text if text in choices else None
    if problem["answer_type"] in ("integer", "float"):
        number = _NUMBER.search(text.replace(",", ""))
        if number is None:
            return None
        value = float(number[0])
        whole = problem["answer_type"] == "integer"
        return str(int(value)) if whole else str(round(value, int(problem.get("precision") or 0)))
    return text


def _plain(document: Mapping) -> dict:
    return {name: value for name, value in document.items() if isinstance(value, (str, int, float, list, dict))}


def _mmvet_prompt(document: Mapping, text: str) -> str:
    examples = import_lmms_eval("tasks.mmvet.utils").MM_VET_PROMPT
    truth = document["answer"].replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    return f"{examples}\n{document['question']} | {truth} | {text} |"


def _mathvista_prompt(document: Mapping, text: str) -> str:
    examples = import_lmms_eval("tasks.mathvista.mathvista_evals").DEMO_PROMPT.strip()
    return f"{examples}\n\n{document['query']}\n\nModel response: {text}\n\nExtracted answer: "


_JUDGED = {
    "mm-vet": (_mmvet_prompt, "question_id", mmvet_scores),
    "mathvista": (_mathvista_prompt, "pid", mathvista_scores),
}
