"""Which drawn scenes are trained on and which are kept for measuring: every range of seeds, each once.

Seeds from `HELD_OUT_SEED` on, and the ranges of `HELD_OUT`, are never trained on; no two ranges share a seed.
"""

HELD_OUT_SEED = 1_000_000_000
"""Seeds from here on are never trained on."""

DETECTOR_TRAINING = range(0, 48_000)
DETECTOR_VALIDATION = range(48_000, 49_000)
"""The embedded detector's own pictures; other learners may see the scenes that validate it."""

RELATION_SEEDS_APART = 1_000_000
"""A relation head that is trained with seed s sees scenes from s times this on."""

RELATION_VALIDATION = range(5_000_000, 6_000_000)
EXPERT_ACCURACY = range(9_000_000, 9_500_000)
EXPERT_SPEED = range(9_500_000, 10_000_000)
SAMPLE_ANSWERS = range(HELD_OUT_SEED, HELD_OUT_SEED + 500_000)
ANSWERS = range(HELD_OUT_SEED + 500_000, HELD_OUT_SEED + 800_000)
EXPERT_CONTRIBUTION = range(HELD_OUT_SEED + 800_000, HELD_OUT_SEED + 10_000_000)

SUITE_SEEDS_APART, SUITE_EVALUATIONS = 100_000, 1000
DRAWN_SUITE = range(EXPERT_CONTRIBUTION.stop, EXPERT_CONTRIBUTION.stop + SUITE_SEEDS_APART * SUITE_EVALUATIONS)
"""Evaluation e of the suite has the `SUITE_SEEDS_APART` seeds from e times as many on."""

SURVEY = range(2**40, 2**40 + 600)
"""They tell how common things are in drawn scenes."""

HELD_OUT: dict[str, range] = {
    "validation of the relation head": RELATION_VALIDATION,
    "accuracy of experts": EXPERT_ACCURACY,
    "speed of experts": EXPERT_SPEED,
    "sample answers in training": SAMPLE_ANSWERS,
    "answers by kind": ANSWERS,
    "contribution of experts": EXPERT_CONTRIBUTION,
    "the drawn suite": DRAWN_SUITE,
    "the survey of things": SURVEY,
}


class HeldOutError(ValueError):
    """Training was asked for on scenes that are kept for measuring."""


def held_out(seed: int) -> str | None:
    """What the scene of a seed is kept for; None when it may be trained on."""
    for use, seeds in HELD_OUT.items():
        if seed in seeds:
            return use
    return "later measurements" if seed >= HELD_OUT_SEED else None


def check_training(seeds: range) -> None:
    """Raises HeldOutError when scenes with these seeds (a range of step 1) may not be trained on."""
    if not seeds:
        return
    if seeds.start < 0:
        raise HeldOutError(f"seeds of scenes start at 0, got {seeds.start}")
    kept = [*HELD_OUT.items(), ("measurements", range(HELD_OUT_SEED, max(seeds.stop, HELD_OUT_SEED)))]
    for use, own in kept:
        if seeds.start < own.stop and own.start < seeds.stop:
            asked = f"seed {seeds.start}" if len(seeds) == 1 else f"seeds {seeds.start} to {seeds.stop - 1}"
            allowed = f"train on others below {HELD_OUT_SEED}"
            raise HeldOutError(f"{asked}: {own.start} to {own.stop - 1} are held out for {use}; {allowed}")
