"""Captions beside those of people, as pycocoevalcap scores them.

Its tokenizer runs in Java; words here are runs of letters and digits in lower case, which is what it leaves of such
sentences but for hyphens and abbreviations.
"""

import re
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words(text: str) -> str:
    """The words of a sentence, in lower case, joined by spaces."""
    return " ".join(_WORD.findall(text.lower()))


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of every caption, 0..10; how rare a word is, all references tell together.

    Source: Vedantam et al. 2015, "CIDEr: Consensus-based Image Description Evaluation" (arXiv 1411.5726). Raises
    ImportError with one sentence without pycocoevalcap.
    """
    from pycocoevalcap.cider.cider import Cider

    given, told = _tables(captions, references)
    return [float(score) for score in Cider().compute_score(told, given)[1]]


def bleu_4(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """BLEU-4 of all captions together, 0..1. Source: Papineni et al. 2002. Raises ImportError as `cider`."""
    from pycocoevalcap.bleu.bleu import Bleu

    given, told = _tables(captions, references)
    return float(Bleu(4).compute_score(told, given, verbose=0)[0][3])


def _tables(captions: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict, dict]:
    given = {place: [words(text)] for place, text in enumerate(captions)}
    return given, {place: [words(text) for text in texts] for place, texts in enumerate(references)}
