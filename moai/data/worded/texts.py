"""What stands on signs, shops, posters, vehicles and screens, each text with what it is."""

import numpy as np

from moai.data.draws import pick
from moai.data.worded.words import filled, moment, word

_SORTS = ("street", "shop", "notice") * 2 + ("shop", "notice", "phone", "web", "price", "time", "number")


def plate(rng: np.random.Generator) -> str:
    """A number plate as one of several countries writes it."""
    return filled(rng, word(rng, "plates"))


def text(rng: np.random.Generator) -> tuple[str, str]:
    """(what it is, the text): street, shop, notice, phone, web, price, time or number."""
    what = pick(rng, _SORTS)
    made = _made(rng, what)
    return what, made.upper() if what in ("street", "shop") and rng.random() < 0.5 else made


def _made(rng: np.random.Generator, what: str) -> str:
    if what == "street":
        return f"{word(rng, 'street names')} {word(rng, 'ways')}"
    if what == "shop":
        return f"{word(rng, 'shop names')} {word(rng, 'trades')}"
    if what == "phone":
        return filled(rng, word(rng, "phones"))
    if what == "web":
        name = (word(rng, "shop names") + word(rng, "trades")).replace("'", "").replace(" ", "").lower()
        return f"{pick(rng, ('www.', 'www.', ''))}{name}.{word(rng, 'endings')}"
    if what == "price":
        cents = pick(rng, ("00", "50", "95", "99", "25"))
        return f"{word(rng, 'goods')} {pick(rng, '$£€')}{1 + int(rng.random() * 30)}.{cents}"
    if what == "time":
        return moment(rng, "times")
    return word(rng, "notices") if what == "notice" else filled(rng, "9999"[: 1 + int(rng.random() * 4)])
