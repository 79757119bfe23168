"""The same receipt or number plate with other digits and letters, in what experts read and in what people wrote alike.

A few hundred photographs of text are soon known by heart, and who knows them reads nothing. A picture as small as the
model's shows no letters, so that only what the experts read can tell a changed answer.
"""

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

import numpy as np

from moai.data.draws import pick
from moai.data.photographs.asking import squeezed
from moai.data.photographs.photograph import Photograph
from perception.scene import Scene, TextLine

_SHARE = 0.9
"""How often they are changed."""
_DIGITS = (("0123456789",), ("012", "3456789"))
"""Digits take the place of others of their group; with the second grouping dates stay nearly possible."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})\b", re.IGNORECASE)
_ALIKE = 0.5
"""Share of letters in common from which a line is taken for a reading of the plate."""
_OTHER_COMPANY = 0.5
"""How often a company that stands in a line of its own becomes another."""


def relettered(
    photograph: Photograph, scene: Scene | None, rng: np.random.Generator, companies: Sequence[str] = ()
) -> tuple[Photograph, Scene | None]:
    """The photograph and what experts saw in it, as `rng` draws other digits and letters.

    `companies`: those that may take the place of a receipt's. What people asked and answered is left out where it holds
    no more. What holds neither a plate nor a receipt stays as it is.
    """
    if scene is None or not scene.text_lines or rng.random() >= _SHARE:
        return photograph, scene
    if photograph.fields:
        return _receipt(photograph, scene, rng, companies)
    return _plate(photograph, scene, rng) if len(photograph.text_lines) == 1 else (photograph, scene)


def _receipt(
    photograph: Photograph, scene: Scene, rng: np.random.Generator, companies: Sequence[str]
) -> tuple[Photograph, Scene]:
    digits = _exchanged(rng, pick(rng, _DIGITS))
    months = dict(zip(_MONTHS, rng.permutation(_MONTHS).tolist(), strict=True))
    fields = dict(photograph.fields)
    old, new = fields.get("company", ""), pick(rng, companies) if companies and rng.random() < _OTHER_COMPANY else ""
    known = squeezed(old)
    alone = bool(known) and any(squeezed(one.text) == known for one in scene.text_lines)

    def changed(text: str) -> str:
        if alone and new and squeezed(text) == known:
            return new
        return _MONTH.sub(lambda found: _cased(months[found[0].upper()], found[0]), text.translate(digits))

    fields = {name: changed(text) for name, text in fields.items()}
    lines = tuple(replace(one, text=changed(one.text)) for one in photograph.text_lines)
    return replace(photograph, fields=fields, text_lines=lines, questions=()), _said(scene, changed)


def _plate(photograph: Photograph, scene: Scene, rng: np.random.Generator) -> tuple[Photograph, Scene]:
    # O and 0 are taken for each other, so that both stay.
    digits = _exchanged(rng, (string.digits[1:],))
    letters = [one for one in string.ascii_uppercase if one != "O"]
    others = rng.permutation(letters).tolist()
    table = digits | {ord(a): b for a, b in zip(letters, others, strict=True)}
    table |= {ord(a.lower()): b.lower() for a, b in zip(letters, others, strict=True)}
    plate = squeezed(photograph.text_lines[0].text)

    def changed(text: str) -> str:
        alike = SequenceMatcher(None, squeezed(text), plate, autojunk=False).ratio() >= _ALIKE
        return text.translate(table if alike else digits)

    lines = (replace(photograph.text_lines[0], text=photograph.text_lines[0].text.translate(table)),)
    return replace(photograph, text_lines=lines, questions=()), _said(scene, changed)


def _said(scene: Scene, changed: Callable[[str], str]) -> Scene:
    lines: list[TextLine] = [replace(one, text=changed(one.text)) for one in scene.text_lines]
    return replace(scene, text_lines=lines)


def _exchanged(rng: np.random.Generator, groups: Sequence[str]) -> dict[int, str]:
    """Each character of a group to one of the same group, no two to one."""
    table: dict[int, str] = {}
    for group in groups:
        table |= {ord(a): b for a, b in zip(group, rng.permutation(list(group)).tolist(), strict=True)}
    return table


def _cased(word: str, like: str) -> str:
    return word if like.isupper() else word.title() if like.istitle() else word.lower()
