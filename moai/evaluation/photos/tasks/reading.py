"""Reading: number plates, and total, date and company of receipts."""

import re
from collections.abc import Callable, Sequence

from moai.evaluation.metrics.phrases import compact
from moai.evaluation.photos.item import Item, Task, View, each

_SUM = re.compile(r"\d[\d,]*[.,]\d{2}\b")
_DATE = re.compile(r"\b\d{1,4}[-/. ](?:\d{1,2}|[A-Za-z]{3,9})[-/. ]\d{2,4}\b")
_GROUPS = {
    "What is the total?": "receipts' total",
    "What is the date?": "receipts' date",
    "Which company is this receipt from?": "receipts' company",
}


def make(views: Sequence[View], seed: int) -> list[Item]:
    """Every question about a plate or a field of a receipt."""
    items = []
    for view in views:
        for one in view.photograph.questions:
            if one.get("source") == "plate":
                items.append(_item(view, "plates", one, plate))
            elif one.get("source") == "SROIE key" and one["question"] in _GROUPS:
                group = _GROUPS[one["question"]]
                items.append(_item(view, group, one, _RULES[group]))
    return items


def _item(view: View, group: str, asked: dict, rule: Callable[[Sequence[str]], str]) -> Item:
    if view.scene is None:
        return Item("reading", group, view.name, asked["question"], (asked["answer"],))
    lines = [line.text for line in view.scene.text_lines]
    held = compact(asked["answer"]) in compact(" ".join(lines))
    return Item("reading", group, view.name, asked["question"], (asked["answer"],), rule=rule(lines), held=held)


def plate(lines: Sequence[str]) -> str:
    """The first line of 4 to 9 letters and digits that has both, else the first of that length."""
    texts = [text for line in lines if 4 <= len(text := compact(line)) <= 9]
    both = [text for text in texts if re.search("[A-Z]", text) and re.search("[0-9]", text)]
    return next(iter(both + texts), "")


def total(lines: Sequence[str]) -> str:
    """The first sum in or behind a line that names a total, the last such line counting; else the largest sum."""
    named = [place for place, line in enumerate(lines) if "TOTAL" in line.upper() and "SUB" not in line.upper()]
    for place in reversed(named):
        for line in lines[place : place + 3]:
            if found := _SUM.search(line):
                return found[0]
    sums = [found for line in lines for found in _SUM.findall(line)]
    return max(sums, key=lambda text: int(compact(text)), default="")


def date(lines: Sequence[str]) -> str:
    """The first date."""
    return next((found[0] for line in lines if (found := _DATE.search(line))), "")


def company(lines: Sequence[str]) -> str:
    """The first line."""
    return next(iter(lines), "")


_RULES = {"receipts' total": total, "receipts' date": date, "receipts' company": company}

TASK = Task(
    "reading",
    "number plates, and total, date and company of receipts",
    make,
    each(lambda item, text: compact(text) == compact(item.truth[0])),
    tokens=32,
)
