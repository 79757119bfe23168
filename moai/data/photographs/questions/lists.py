"""What things there are, and of what sort: lists of objects, animals and vehicles."""

from moai.data.draws import pick
from moai.data.nouns import counted, enumerate_words, plural_noun
from moai.data.photographs.asking import Asking, Turn, yes
from perception.labels import ANIMALS, FOOD, VEHICLES

LIST = (
    "What objects are there?", "What objects are in the {pic}?", "Which things can you see?", "What do you see?",
    "List the objects in the {pic}.", "Name the things in the {pic}.", "What can you see in the {pic}?",
)  # fmt: skip
SORTS = {
    "animal": (ANIMALS, ("What animal is this?", "What animal is in the {pic}?", "Which animal can you see?",
                         "What kind of animal is shown?", "What is the animal?")),
    "vehicle": (VEHICLES, ("What vehicle is in the {pic}?", "What kind of vehicle is this?",
                           "Which vehicle can you see?", "What type of vehicle is shown?")),
    "food": (FOOD, ("What food is in the {pic}?", "What kind of food is this?", "What food can you see?")),
}  # fmt: skip
MEMBERS = {
    "animal": ("Is there an animal in the {pic}?", "Are there any animals?", "Do you see an animal?"),
    "vehicle": ("Is there a vehicle in the {pic}?", "Are there any vehicles?", "Do you see a vehicle?"),
    "food": ("Is there any food in the {pic}?", "Do you see any food?", "Is there something to eat?"),
}
_MOST = 6


def objects(asking: Asking) -> Turn | None:
    """Everything that is there, with numbers, the largest first; of more than a few sorts, the largest."""
    if not asking.photograph.exhaustive or not asking.there:
        return None
    size: dict[str, float] = {}
    for one in asking.photograph.boxes:
        area = (one.box[2] - one.box[0]) * (one.box[3] - one.box[1])
        size[one.label] = max(size.get(one.label, 0.0), area)
    labels = sorted(size, key=lambda label: -size[label])[:_MOST]
    text = enumerate_words([_some(asking, label) for label in labels])
    return asking.say(LIST), f"{text[0].upper()}{text[1:]}."


def _some(asking: Asking, label: str) -> str:
    """ "two dogs"; of what is not counted, or of very many, "several dogs"."""
    count = asking.counts[label]
    return counted(label, count) if 0 < count <= 12 else f"several {plural_noun(label)}"


def sort(asking: Asking) -> Turn | None:
    """Which animal, vehicle or food it is, where there is one sort; that there is none; or whether there is any."""
    name = pick(asking.rng, tuple(SORTS))
    members, templates = SORTS[name]
    found = sorted(asking.there & members)
    if asking.coin(0.25) and asking.photograph.exhaustive:
        # Most pictures hold none: "No" is asked for less.
        return (asking.say(MEMBERS[name]), yes(bool(found))) if found or asking.coin(0.3) else None
    if not found and asking.photograph.exhaustive:
        return (asking.say(templates), f"There is no {name}.") if asking.coin(0.2) else None
    return (asking.say(templates), found[0]) if len(found) == 1 else None
