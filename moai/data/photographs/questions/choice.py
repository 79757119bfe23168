"""Multiple choice: the options behind letters, the answer a letter."""

from moai.data.draws import pick, shuffled
from moai.data.photographs.asking import Asking, Turn
from moai.data.photographs.questions.lists import ANIMALS, SORTS
from moai.data.photographs.questions.position import REGION
from moai.data.places import REGIONS, middle, region_of

LETTERS = "ABCD"
WHICH = ("Which of these is in the {pic}?", "Which of the following can be seen?", "What is shown in the {pic}?",
         "Which object is in the image?")  # fmt: skip
COUNT = ("How many {plural} are there?", "How many {plural} are in the {pic}?")
Content = tuple[str, str, list[str]]
"""Question, right option, wrong options."""


def choice(asking: Asking) -> Turn | None:
    """A question with two to four options."""
    if not asking.photograph.exhaustive or (content := pick(asking.rng, _MAKERS)(asking)) is None:
        return None
    text, right, wrong = content
    wrong = list(dict.fromkeys(one for one in wrong if one != right))[: pick(asking.rng, (1, 2, 3, 3, 3))]
    if not wrong:
        return None
    options = shuffled(asking.rng, [right, *wrong])
    frame = pick(asking.rng, ("{}. {}", "{}. {}", "{}. {}", "({}) {}", "{}) {}"))
    lines = [frame.format(letter, option) for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([text, *lines]), LETTERS[options.index(right)]


def _thing(asking: Asking) -> Content | None:
    right = asking.present()
    wrong = [label for _ in range(5) if (label := asking.absent())]
    return None if right is None else (asking.say(WHICH), right, wrong)


def _number(asking: Asking) -> Content | None:
    labels = [label for label, count in asking.counts.items() if count <= 6]
    if not labels:
        return None
    label = max(labels, key=lambda one: asking.counts[one] + 2 * asking.rng.random())
    count = asking.counts[label]
    near = shuffled(asking.rng, [n for n in range(max(count - 3, 0), count + 4) if n != count])
    return asking.say(COUNT, plural=asking.nouns(label)), str(count), [str(n) for n in near]


def _region(asking: Asking) -> Content | None:
    if not asking.singles:
        return None
    one = pick(asking.rng, asking.singles)
    where = region_of(*middle(one.box))
    if where is None:
        return None
    return asking.say(REGION, x=asking.noun(one.label)), where, shuffled(asking.rng, REGIONS)


def _animal(asking: Asking) -> Content | None:
    found = sorted(asking.there & ANIMALS)
    if len(found) != 1:
        return None
    return asking.say(SORTS["animal"][1]), found[0], shuffled(asking.rng, sorted(ANIMALS - asking.there))


_MAKERS = (_thing, _thing, _number, _region, _animal)
