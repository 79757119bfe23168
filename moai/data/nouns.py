"""English names of things: with an article, several of them, and lists of them."""

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_IRREGULAR = {
    "person": "people", "sheep": "sheep", "fish": "fish", "mouse": "mice", "knife": "knives", "skis": "skis",
    "scissors": "scissors", "grapes": "grapes", "bread": "bread", "cheese": "cheese", "broccoli": "broccoli",
    "cactus": "cacti", "tv": "tvs", "shelf": "shelves",
    "man": "men", "woman": "women", "child": "children", "goose": "geese", "foot": "feet", "tooth": "teeth",
    "wolf": "wolves", "calf": "calves", "leaf": "leaves", "loaf": "loaves", "scarf": "scarves", "tomato": "tomatoes",
    "potato": "potatoes", "deer": "deer", "jeans": "jeans", "shorts": "shorts", "sunglasses": "sunglasses",
    "glasses": "glasses", "binoculars": "binoculars", "headphones": "headphones", "pliers": "pliers",
    "bookshelf": "bookshelves", "snowman": "snowmen",
}  # fmt: skip
_COUNTED_AS = {
    "scissors": ("pair of scissors", "pairs of scissors"),
    "skis": ("pair of skis", "pairs of skis"),
    "grapes": ("bunch of grapes", "bunches of grapes"),
    "bread": ("loaf of bread", "loaves of bread"),
    "cheese": ("piece of cheese", "pieces of cheese"),
    "broccoli": ("piece of broccoli", "pieces of broccoli"),
    "jeans": ("pair of jeans", "pairs of jeans"),
    "shorts": ("pair of shorts", "pairs of shorts"),
    "sunglasses": ("pair of sunglasses", "pairs of sunglasses"),
    "glasses": ("pair of glasses", "pairs of glasses"),
    "binoculars": ("pair of binoculars", "pairs of binoculars"),
    "headphones": ("pair of headphones", "pairs of headphones"),
    "pliers": ("pair of pliers", "pairs of pliers"),
}
_CONSONANT_SOUNDS = ("uni", "use", "ukulele", "euro", "one-")
"""How words begin that start with a vowel letter and take "a"."""
_VOWEL_SOUNDS = ("hour", "honest", "heir")


def plural(label: str) -> str:
    """The plural of a class name: `cat` -> `cats`, `person` -> `people`, `wine glass` -> `wine glasses`."""
    if label in _IRREGULAR:
        return _IRREGULAR[label]
    first, space, last = label.rpartition(" ")
    if space and last in _IRREGULAR:
        return f"{first} {_IRREGULAR[last]}"
    if label.endswith(("s", "x", "ch", "sh")):
        return label + "es"
    if label.endswith("y") and label[-2] not in "aeiou":
        return label[:-1] + "ies"
    return label + "s"


def singular_noun(label: str) -> str:
    """How one of these is called after "a" or "the": "dog", "pair of scissors"."""
    return _COUNTED_AS[label][0] if label in _COUNTED_AS else label


def plural_noun(label: str) -> str:
    """How several of these are called: "dogs", "pairs of scissors"."""
    return _COUNTED_AS[label][1] if label in _COUNTED_AS else plural(label)


def with_article(noun: str) -> str:
    """ "a dog", "an apple", "a unicorn", "an hourglass"."""
    lower = noun.lower()
    vowel = lower.startswith(_VOWEL_SOUNDS) or (lower[:1] in "aeiou" and not lower.startswith(_CONSONANT_SOUNDS))
    return f"{'an' if vowel else 'a'} {noun}"


def enumerate_words(phrases: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def counted(label: str, count: int) -> str:
    """ "a dog", "two dogs", "an apple"; digits above twelve."""
    if count == 1:
        return with_article(singular_noun(label))
    return f"{NUMBER_WORDS[count] if count < len(NUMBER_WORDS) else count} {plural_noun(label)}"
