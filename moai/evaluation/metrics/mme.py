"""MME: two yes-or-no questions on every picture, one whose answer is yes and one whose answer is no."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

from moai.evaluation.metrics.yes_no import first_yes_no

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


def mme_scores(
    answers: Sequence[str], truths: Sequence[str], pairs: Sequence[Hashable], categories: Sequence[str]
) -> dict[str, dict[str, float]]:
    """For every category `accuracy` (share of questions, 0..100), `accuracy_plus` (share of pictures with both
    questions right, 0..100), `score` (their sum, 0..200) and `pictures`.

    answers: free text; truths: "yes" or "no"; pairs: what tells a category's pictures apart. Pictures without exactly
    two questions (a run cut short) are left out. A benchmark's score is the sum over its categories: perception has ten
    (up to 2000), cognition four (up to 800).
    Source: Fu et al. 2023, "MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models" (arXiv
    2306.13394), section 2.2.
    """
    right: dict[str, dict[Hashable, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for answer, truth, pair, category in zip(answers, truths, pairs, categories, strict=True):
        right[category][pair].append(first_yes_no(answer) == truth)
    table = {}
    for category, pictures in right.items():
        whole = [marks for marks in pictures.values() if len(marks) == 2]
        if whole:
            accuracy = 100 * sum(map(sum, whole)) / (2 * len(whole))
            plus = 100 * sum(map(all, whole)) / len(whole)
            table[category] = {
                "accuracy": accuracy,
                "accuracy_plus": plus,
                "score": accuracy + plus,
                "pictures": len(whole),
            }
    return table
