"""Which labels are asked for where they are missing, so that a label alone does not tell whether it is there."""

from collections import Counter
from functools import cache

import numpy as np

from moai.data.drawn.catalog import THING_LABELS
from moai.data.drawn.facts import Facts, companions, confusable
from moai.data.draws import pick, weighted
from moai.data.splits import SURVEY

_ROUNDS = 10
# Three scenes of four have a sign and only the fourth can deny it, so present signs are asked for less often.
_SIGN_ASKED = 0.08


@cache
def _survey() -> tuple[frozenset[str], ...]:
    """The labels of things in each of some sampled scenes."""
    from moai.data.drawn.scene.sample import sample_layout

    layouts = (sample_layout(seed) for seed in SURVEY)
    return tuple(frozenset([i.label for i in made.objects] + ["sign"] * bool(made.signs)) for made in layouts)


@cache
def popular() -> tuple[str, ...]:
    """The dozen labels that most scenes hold, signs aside: most scenes that hold nothing else popular hold a sign."""
    often = Counter(label for labels in _survey() for label in labels - {"sign"})
    return tuple(sorted(THING_LABELS, key=lambda label: (-often[label], label))[:12])


@cache
def _absent_weights() -> dict[str, dict[str, float]]:
    """For random and for adversarial absent labels, how likely each is to be drawn.

    Set so that every label is asked for about as often where it is missing as where it is there. With even draws, a
    label that many scenes hold (a person) would be a "Yes" for anyone who knows scenes and never looks at the picture.
    """
    there = Counter()
    for labels in _survey():
        there.update({label: _yes_share(label, labels) for label in labels})
    found = {}
    for detail in ("random", "adversarial"):
        weights = {label: there[label] + 0.3 for label in THING_LABELS}
        for _ in range(_ROUNDS):
            missing = Counter()
            for labels in _survey():
                out = labels.union(*(confusable(label) for label in labels))
                pools = [companions(label) for label in labels] if detail == "adversarial" else [THING_LABELS]
                for pool in pools:
                    pool = [label for label in pool if label not in out]
                    scale = len(pools) * sum(weights[label] for label in pool)
                    missing.update({label: weights[label] / scale for label in pool})
            for label in THING_LABELS:
                # Damped and bounded, as 600 scenes say little about a rare label.
                ratio = (there[label] + 1) / (missing[label] + 1)
                weights[label] = min(max(weights[label] * ratio**0.7, 0.05), 1000.0)
        found[detail] = weights
    return found


def _yes_share(label: str, labels: frozenset[str]) -> float:
    share = _SIGN_ASKED / len(labels)
    return share if label == "sign" else (1 - share * ("sign" in labels)) / max(1, len(labels - {"sign"}))


def absent(facts: Facts, rng: np.random.Generator, detail: str) -> str | None:
    """A label that is not in the picture: any one ("random"), a "popular" one, or a companion of something that is
    there ("adversarial")."""
    labels = THING_LABELS
    if detail == "adversarial":
        labels = companions(pick(rng, list(facts.counts))) if facts.counts else ()
    elif detail == "popular":
        labels = popular()
    weights = _absent_weights()["adversarial" if detail == "adversarial" else "random"]
    labels = [label for label in labels if facts.is_absent(label)]
    return weighted(rng, labels, [weights[label] for label in labels]) if labels else None


def present(rng: np.random.Generator, labels: list[str]) -> str:
    """One of the labels that are there."""
    label = pick(rng, labels)
    if label == "sign" and len(labels) > 1 and rng.random() > _SIGN_ASKED:
        return pick(rng, [other for other in labels if other != "sign"])
    return label
