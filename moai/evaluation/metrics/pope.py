"""POPE: is an object in the picture, yes or no?"""

from collections.abc import Sequence

from moai.evaluation.metrics.yes_no import sentence_yes_no


def pope_scores(answers: Sequence[str], truths: Sequence[str]) -> dict[str, float]:
    """`accuracy`, `precision`, `recall`, `f1` and `yes_ratio`, each 0..1; "yes" is the positive class.

    answers: free text; truths: "yes" or "no". `yes_ratio` is the share of answers that say yes. A ratio with nothing
    below the line is 0. Raises ValueError for no answers or other truths.
    Source: Li et al. 2023, "Evaluating Object Hallucination in Large Vision-Language Models" (arXiv 2305.10355),
    section 5.
    """
    if not len(answers):
        raise ValueError("POPE scores need at least one answer")
    wrong = sorted({truth for truth in truths if truth not in ("yes", "no")})
    if wrong:
        raise ValueError(f"POPE truths must be yes or no, got {wrong[0]!r}")
    pairs = [(sentence_yes_no(answer), truth) for answer, truth in zip(answers, truths, strict=True)]
    hits = pairs.count(("yes", "yes"))
    said = hits + pairs.count(("yes", "no"))
    true = hits + pairs.count(("no", "yes"))
    precision, recall = hits / said if said else 0.0, hits / true if true else 0.0
    return {
        "accuracy": (hits + pairs.count(("no", "no"))) / len(pairs),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if hits else 0.0,
        "yes_ratio": said / len(pairs),
    }
