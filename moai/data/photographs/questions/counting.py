"""How many of something there are, by the boxes; what a box may cover a group of is not counted."""

from moai.data.draws import pick, weighted
from moai.data.nouns import NUMBER_WORDS, counted
from moai.data.photographs.asking import Asking, Turn, yes

MAX_COUNT = 6
WORDINGS = (
    "How many {plural} are there in the image?", "How many {plural} are there in the {pic}?",
    "How many {plural} are there?", "How many {plural} are in the {pic}?", "How many {plural} are in this {pic}?",
    "How many {plural} do you see?", "How many {plural} can you see in the {pic}?", "How many {plural} are visible?",
    "How many {plural} are shown?", "Count the {plural}.", "Count the {plural} in the {pic}.",
    "What is the number of {plural} in the {pic}?", "What number of {plural} can be seen?",
    "Tell me how many {plural} there are.",
)  # fmt: skip
IN_WORDS = (
    "How many {plural} are there? Answer with a word.",
    "How many {plural} are in the {pic}? Write the number as a word.",
)
CLAIMS = (
    "Are there {some} in the {pic}?",
    "Are there exactly {some}?",
    "Does the {pic} show {some}?",
    "Is it right that there are {some}?",
)
# Photographs hold far more single things than sixes; these weights pull the answers apart.
_WEIGHTS = (0.35, 0.7, 1.2, 1.7, 2.1, 2.4, 2.7)


def counting(asking: Asking) -> Turn | None:
    """A number, in digits as a rule, or whether a number is right."""
    countable = [(label, count) for label, count in asking.counts.items() if count <= MAX_COUNT]
    if asking.coin(0.15) and (absent := asking.absent()):
        countable.append((absent, 0))
    if not countable or not asking.photograph.exhaustive:
        return None
    label, count = weighted(asking.rng, countable, [_WEIGHTS[count] for _, count in countable])
    # Many pictures have nothing but single things to count.
    if count == 1 and asking.coin(0.3):
        return None
    draw, plural = asking.rng.random(), asking.nouns(label)
    if draw < 0.1:
        return asking.say(IN_WORDS, plural=plural), NUMBER_WORDS[count].replace("no", "zero").capitalize()
    if draw < 0.25 and count > 1:
        claimed = count if (true := asking.coin()) else pick(asking.rng, [n for n in (count - 1, count + 1) if n > 1])
        return asking.say(CLAIMS, some=counted(label, claimed)), yes(true)
    return asking.say(WORDINGS, plural=plural), str(count)
