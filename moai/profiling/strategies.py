"""What several drafts and contrast cost, in time, beside one greedy answer."""

from dataclasses import replace

import torch

from moai.inference.strategies import Wording, draft, fast
from moai.inference.strategies.contrast import Contrast
from moai.profiling.model import Setup, fast_engine, random_inputs

DRAFTS = 6
NEW_TOKENS = 64


def measure_strategies(setup: Setup) -> None:
    """An answer of `NEW_TOKENS` tokens to a prompt, `DRAFTS` drafts of it, and contrasts with weak sides of the mixers.

    On CUDA by the fast path, elsewhere by the plain one, as an assistant does.
    """
    setup.free()
    inputs = random_inputs(setup, 1)
    plain = Wording(NEW_TOKENS)
    ways = {
        "one answer": (plain, 1),
        f"{DRAFTS} drafts": (replace(plain, temperature=0.7, seed=0), DRAFTS),
        "contrast with no-aux": (replace(plain, contrast=Contrast("no-aux")), 1),
        "contrast with second": (replace(plain, contrast=Contrast("second")), 1),
    }
    engine = fast_engine(setup) if setup.device.type == "cuda" else None
    alone = None
    for name, (wording, copies) in ways.items():
        if setup.late:
            return

        def work(wording: Wording = wording, copies: int = copies) -> object:
            if engine is None:
                return draft(setup.model, inputs, wording, copies)
            return fast.draft(engine, setup.model, inputs, wording, copies)

        with torch.no_grad():
            taken = setup.seconds(work, warm=2)
        alone = alone or taken
        setup.add("strategies", f"{name}, {NEW_TOKENS} tokens", 1000 * taken, "ms")
        setup.add("strategies", f"{name} over one answer", taken / alone, "times")
