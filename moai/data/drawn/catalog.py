"""The classes that drawn scenes know: which emoji draw them, what they are like, and how they may stand together."""

from perception.labels import COCO_PANOPTIC_CLASSES

_SKINS = "\U0001f3fb", "\U0001f3fd", "\U0001f3ff"


def _skins(emoji: str) -> list[str]:
    """An emoji with its default skin and in three skin tones."""
    return [emoji, *(emoji + tone for tone in _SKINS)]


def _tagged(tag: str, *emojis: str) -> list[tuple[str, str]]:
    return [(emoji, tag) for emoji in emojis]


# Tags: a pose (stand, walk, run, bust, body, face) and, where a drawing looks to the left, "<".
# A source that starts with "@" is drawn by moai.data.drawn.render.make_atlas itself, or cut out of an emoji.
_PEOPLE = [
    *_tagged("stand", *_skins("\U0001f9cd"), "\U0001f483", "\U0001f57a"),
    *_tagged("walk<", *_skins("\U0001f6b6")),
    *_tagged("run<", *_skins("\U0001f3c3")),
    *_tagged("bust", *_skins("\U0001f469")[1:3], *_skins("\U0001f468")[1:], "\U0001f475", "\U0001f474"),
    *_tagged("bust", "\U0001f46e", "\U0001f477", "\U0001f467\U0001f3fd", "\U0001f466\U0001f3fb"),
]


def _beast(bodies: str = "", faces: str = "", extra: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [*_tagged("body<", *bodies, *extra), *_tagged("face", *faces)]


def _plain(emojis: str) -> list[tuple[str, str]]:
    return _tagged("", *emojis)


SPRITE_SOURCES: dict[str, list[tuple[str, str]]] = {
    # COCO things, in COCO order.
    "person": _PEOPLE,
    "bicycle": _plain("🚲"),
    "car": _plain("🚗🚙🚘🚕🏎"),
    "motorcycle": _plain("🏍🛵"),
    "airplane": _plain("✈🛩"),
    "bus": _plain("🚌🚍🚎"),
    "train": _plain("🚂🚆🚄🚃"),
    "truck": _plain("🚚🚛🛻🚒"),
    "boat": _plain("⛵🚤🛥🚢🛶"),
    "traffic light": _plain("🚦🚥"),
    "stop sign": _plain("🛑"),
    "bench": _tagged("", "@bench_brown", "@bench_green"),
    "bird": [*_tagged("fly", "🦅", "🕊"), *_tagged("body<", "🐦", "🦜", "🐤")],
    "cat": _beast("🐈", "🐱", ("🐈\u200d⬛",)),
    "dog": _beast("🐕🐩🦮", "🐶"),
    "horse": _beast("🐎", "🐴"),
    "sheep": _beast("🐑🐏"),
    "cow": _beast("🐄🐂", "🐮"),
    "elephant": _beast("🐘"),
    "bear": _tagged("face", "🐻", "🐻\u200d❄️"),
    "zebra": _tagged("face", "🦓"),
    "giraffe": _beast("🦒"),
    "backpack": _plain("🎒"),
    "umbrella": _plain("☂🌂⛱"),
    "handbag": _plain("👜👛👝"),
    "tie": _plain("👔"),
    "suitcase": _plain("🧳💼"),
    "frisbee": _plain("🥏"),
    "skis": _plain("🎿"),
    "sports ball": _plain("⚽🏀🏈⚾🏐🏉🥎"),
    "kite": _plain("🪁"),
    "baseball bat": _tagged("", "@bat"),
    "skateboard": _plain("🛹"),
    "surfboard": _tagged("", "@surfboard_red", "@surfboard_blue"),
    "tennis racket": _plain("🎾"),
    "bottle": _plain("🍾🍼🧴"),
    "wine glass": _plain("🍷🍸"),
    "cup": _plain("☕🍵🥤🥛"),
    "fork": _tagged("", "@fork"),
    "knife": _tagged("", "🔪", "@knife"),
    "spoon": _plain("🥄"),
    "bowl": _plain("🥣🍜"),
    "banana": _plain("🍌"),
    "apple": _plain("🍎🍏"),
    "sandwich": _plain("🥪"),
    "orange": _plain("🍊"),
    "broccoli": _plain("🥦"),
    "carrot": _plain("🥕"),
    "hot dog": _plain("🌭"),
    "pizza": _plain("🍕"),
    "donut": _plain("🍩"),
    "cake": _plain("🍰🎂🧁"),
    "chair": _plain("🪑"),
    "couch": _plain("🛋"),
    "potted plant": _plain("🪴"),
    "bed": _plain("🛏"),
    "dining table": _tagged("", "@table_brown", "@table_white"),
    "toilet": _plain("🚽"),
    "tv": _plain("📺"),
    "laptop": _plain("💻"),
    "mouse": _plain("🖱"),
    "keyboard": _plain("⌨"),
    "cell phone": _plain("📱"),
    "microwave": _tagged("", "@microwave"),
    "refrigerator": _tagged("", "@refrigerator_white", "@refrigerator_blue"),
    "book": _plain("📕📗📘📙📖"),
    "clock": _plain("🕐🕓🕗⏰🕰"),
    "vase": _plain("🏺⚱"),
    "scissors": _plain("✂"),
    "teddy bear": _plain("🧸"),
    "toothbrush": _plain("🪥"),
    # Other things.
    "tree": _plain("🌳🌲🌴"),
    "cactus": _plain("🌵"),
    "house": _plain("🏠🏡"),
    "tent": _plain("⛺"),
    "flower": _plain("🌸🌻🌹🌷🌺🌼"),
    "mushroom": _plain("🍄"),
    "fish": _tagged("body<", *"🐟🐠"),
    "whale": _tagged("body<", *"🐳🐋"),
    "octopus": _tagged("body", "🐙"),
    "crab": _tagged("body", "🦀"),
    "turtle": _beast("🐢"),
    "rabbit": _beast("🐇", "🐰"),
    "duck": _beast("🦆"),
    "penguin": _tagged("body", "🐧"),
    "snail": _beast("🐌"),
    "butterfly": _tagged("fly", "🦋"),
    "bee": _tagged("fly", "🐝"),
    "pig": _beast("🐖", "🐷"),
    "monkey": [("🐒", "body"), ("🐵", "face")],
    "lion": _tagged("face", "🦁"),
    "tiger": _beast("🐅", "🐯"),
    "fox": _tagged("face", "🦊"),
    "panda": _tagged("face", "🐼"),
    "frog": _tagged("face", "🐸"),
    "snake": _beast("🐍"),
    "camel": _beast("🐪🐫"),
    "dinosaur": _beast("🦕🦖"),
    "rocket": _plain("🚀"),
    "helicopter": _plain("🚁"),
    "tractor": _plain("🚜"),
    "balloon": _plain("🎈"),
    "star": _plain("⭐"),
    "moon": _plain("🌙🌛"),
    "sun": _plain("☀🌞"),
    "strawberry": _plain("🍓"),
    "lemon": _plain("🍋"),
    "grapes": _plain("🍇"),
    "pineapple": _plain("🍍"),
    "watermelon": _plain("🍉"),
    "bread": _plain("🍞🥖"),
    "cheese": _plain("🧀"),
    "egg": _plain("🥚"),
    "hamburger": _plain("🍔"),
    "ice cream": _plain("🍦🍨"),
    "guitar": _plain("🎸"),
    "drum": _plain("🥁"),
    "trumpet": _plain("🎺"),
    "bell": _plain("🔔"),
    "candle": _plain("🕯"),
    "key": _plain("🔑🗝"),
    "hammer": _plain("🔨"),
    "ladder": _plain("🪜"),
    "pencil": _plain("✏"),
    "light bulb": _plain("💡"),
    "camera": _plain("📷📸"),
    "trophy": _plain("🏆"),
    "gift": _plain("🎁"),
    "crown": _plain("👑"),
    "hat": _plain("👒🎩🧢"),
    "shoe": _plain("👟👠👢"),
    "robot": _plain("🤖"),
    "snowman": _plain("⛄"),
    "pumpkin": _plain("🎃"),
    "heart": _plain("❤"),
}

THING_LABELS: tuple[str, ...] = (*SPRITE_SOURCES, "sign")
"""Every thing class of a drawn scene; the last, `sign`, is a plate with text and not a sprite."""

COCO_THINGS: tuple[str, ...] = tuple(label for label in COCO_PANOPTIC_CLASSES[:80] if label in SPRITE_SOURCES)
"""Those thing classes that COCO knows too, in COCO order."""

STUFF_LABELS: tuple[str, ...] = (
    "sky", "grass", "road", "sand", "sea", "mountain", "wall", "floor", "snow", "pavement", "river",
)  # fmt: skip
"""COCO panoptic stuff that backgrounds draw; the suffixes -merged, -other and -stuff are dropped."""

UPPER_STUFF = ("sky", "wall", "mountain")
"""Stuff that stands at the top; all other lies below."""


def _names(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(","))
    unknown = names - set(THING_LABELS) - set(STUFF_LABELS)
    if unknown:
        raise ValueError(f"not in the catalog: {sorted(unknown)}")
    return names


ANIMALS = _names(
    "bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, turtle, rabbit, duck, penguin, snail, pig, "
    "monkey, lion, tiger, fox, panda, frog, snake, camel, dinosaur, crab"
)
LIVING = ANIMALS | {"person"}
FLIERS = _names("airplane, helicopter, rocket, butterfly, bee")
"""Things that fly by themselves; a bird flies too when its drawing spreads its wings."""
FLOATERS = _names("kite, balloon, star, moon, sun")
"""Things that hang in the sky without flying over anything."""
SWIMMERS = _names("fish, whale, octopus")
CARS = _names("car, bus, truck, motorcycle, tractor")
SEATS = _names("chair, couch, bench, bed")
SURFACES = _names("dining table, bed, bench, couch")
"""Furniture that carries small things."""
MOUNTS = _names("bicycle, motorcycle, horse, elephant, camel, dinosaur")
BOARDS = _names("skateboard, surfboard, skis")
FOOD = _names(
    "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, strawberry, lemon, grapes, "
    "pineapple, watermelon, bread, cheese, egg, hamburger, ice cream, mushroom"
)
TOYS = _names("sports ball, teddy bear, frisbee, balloon, drum")
SWUNG = _names("baseball bat, tennis racket, hammer")
HELD = _names(
    "umbrella, cell phone, book, cup, bottle, wine glass, flower, fork, knife, spoon, scissors, toothbrush, camera, "
    "guitar, trumpet, key, pencil, candle, trophy, gift, bell"
)
CARRIED = _names("backpack, handbag, suitcase")
WORN = _names("hat, crown, tie")
SMALL = (
    FOOD
    | HELD
    | WORN
    | _names(
        "vase, laptop, mouse, keyboard, bowl, clock, teddy bear, light bulb, shoe, handbag, microwave, tv, pumpkin, "
        "robot"
    )
)

AT_HOME: dict[str, tuple[str, ...]] = {
    stuff: tuple(sorted(_names(text)))
    for stuff, text in {
        "sky": "airplane, bird, helicopter, kite, balloon, butterfly, bee, sun, moon, star, rocket",
        "grass": "person, dog, horse, sheep, cow, tree, house, flower, rabbit, tractor, bicycle, bench, sports ball",
        "road": "person, car, bus, truck, motorcycle, bicycle, traffic light, stop sign, dog",
        "pavement": "person, bicycle, bench, traffic light, dog, cat, potted plant, suitcase, stop sign, car",
        "sand": "person, umbrella, surfboard, crab, turtle, camel, cactus, sports ball, tent, tree",
        "sea": "boat, fish, whale, octopus",
        "river": "boat, fish, duck",
        "mountain": "airplane, bird, helicopter",
        "snow": "person, skis, snowman, penguin, bear, tree, rabbit, house",
        "floor": "person, chair, couch, bed, dining table, tv, refrigerator, cat, dog, potted plant, vase, teddy bear",
        "wall": "clock, bell, guitar, hat",
    }.items()
}
"""Stuff -> things that are often there."""

_BIG = _names(
    "elephant, giraffe, horse, cow, bus, truck, train, house, tree, airplane, whale, bed, couch, dining table, bench, "
    "dinosaur, camel, refrigerator, tractor"
)


def natural_scale(label: str) -> float:
    """A factor on the drawn size, 0.8 to 1.2: large things tend to be drawn larger than small ones."""
    return 1.2 if label in _BIG else 0.8 if label in SMALL else 1.0


_LOOK_ALIKES = tuple(
    _names(text)
    for text in (
        "dog, fox", "cat, tiger, lion", "horse, zebra, camel", "sheep, cow, pig", "rabbit, cat", "whale, fish",
        "snail, turtle", "butterfly, bee", "apple, orange, strawberry", "orange, sports ball", "banana, lemon",
        "watermelon, strawberry", "pumpkin, orange", "cake, donut", "pizza, cheese", "hot dog, bread", "cup, bowl",
        "wine glass, cup", "bottle, vase", "fork, spoon, knife", "toothbrush, pencil", "key, scissors",
        "car, truck, tractor", "bus, train, truck", "bicycle, motorcycle", "airplane, rocket, helicopter",
        "skateboard, surfboard, skis", "backpack, handbag, suitcase", "tv, microwave, laptop", "cell phone, book",
        "keyboard, laptop", "couch, chair, bench, bed", "sun, star, moon", "balloon, heart", "tree, cactus, broccoli",
        "house, tent", "trophy, vase", "guitar, tennis racket", "light bulb, candle", "camera, tv", "bell, hat",
    )
)  # fmt: skip


def look_alikes(label: str) -> tuple[str, ...]:
    """Other classes that resemble this one at a glance, and that a careful look tells apart; often none."""
    return _ALIKE.get(label, ())


_ALIKE = {
    label: tuple(sorted(frozenset().union(*(group for group in _LOOK_ALIKES if label in group)) - {label}))
    for label in frozenset().union(*_LOOK_ALIKES)
}
