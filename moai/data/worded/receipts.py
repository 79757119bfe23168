"""Receipts as an OCR expert reads them: pieces of text with boxes, and the fields that are asked for."""

from dataclasses import dataclass, field

import numpy as np

from moai.data.draws import pick
from moai.data.worded.words import filled, moment, word
from perception.scene import TextLine

Row = tuple[str, ...]
"""Pieces of one row, from left to right."""
_SMALL, _JOINED, _CODED = 0.25, 0.7, 0.5
"""Shares of receipts that are not in capital letters, whose rows are read as one piece each, and whose items have a
code and a price for one."""
_MOST_ITEMS = 18
_NOTES = (
    "ROC NO:|999999-A", "GST REG NO:|999999999999", "TABLE:|99", "TERMINAL:|9", "SHIFT|9", "DOC NO:|AA99999999",
    "MEMBER:|", "FAX:|09-99999999", "PAX:|9", "ORDER #:|99999", "CASHIER:|99", "TRN|99999999", "POS|9",
    "REF.:|999-9999", "TAX CODE|9.99 99.99 9.99", "GST SUMMARY AMOUNT TAX|", "SR|9% 99.99 9.99", "ITEM COUNT:|9",
    "TOTAL QTY:|99", "CARD:|************9999", "APPROVAL CODE:|999999", "|9999 9999 9999", "E-MAIL:|AAAA@AAAAA.COM",
    "PLEASE KEEP THIS RECEIPT AS PROOF OF PURCHASE|", "ALL PRICES INCLUDE TAX|", "PRICES IN LOCAL CURRENCY|",
)  # fmt: skip
"""What else stands on receipts: words and, behind the bar, a pattern for `filled`."""


@dataclass
class Receipt:
    """Pieces in reading order, and the fields as `Photograph.fields` has them."""

    lines: list[TextLine] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


def receipt(rng: np.random.Generator) -> Receipt:
    """A receipt of 10 to 100 pieces."""
    rows, fields = list[Row](), dict[str, str]()
    _head(rng, rows, fields)
    fields["date"] = moment(rng, "dates")
    dated = _dated(rng, fields["date"])
    late = rng.random() < 0.3
    rows += [] if late else [dated]
    rows += _notes(rng)
    if rng.random() < 0.5:
        rows.append((pick(rng, ("INVOICE NO", "DOC NO.", "BILL NO", "TRANS", "SLIP NO:")), filled(rng, "A999999")))
    if rng.random() < 0.4:
        rows.append(("CASHIER", word(rng, "cashiers")))
    if rng.random() < 0.5:
        rows.append(pick(rng, (("ITEM", "QTY", "AMOUNT"), ("QTY", "DESCRIPTION", "PRICE"), ("DESC", "PRICE", "AMT"))))
    cents = [100 + int(rng.random() ** 2 * 4000) for _ in range(1 + int(rng.random() ** 1.5 * _MOST_ITEMS))]
    coded = rng.random() < _CODED
    for each in cents:
        count = ("1", "2", "3")[: int(rng.random() * 1.6)][-1:]
        if coded:
            code, price = filled(rng, pick(rng, ("9999999999999", "SR 9999999", "A99", "999999"))), f"{each / 100:.2f}"
            rows += [(word(rng, "items"),), (code, f"1 X {price}", price)]
        else:
            rows.append((word(rng, "items"), *count, f"{each / 100:.2f}"))
    fields["total"] = _sums(rng, rows, sum(cents))
    rows += _notes(rng)
    rows += [dated] if late else []
    rows += [(word(rng, "thanks"),) for _ in range(int(rng.random() * 3))]
    if rng.random() < _SMALL:
        rows = [tuple(text.title() for text in row) for row in rows]
        fields = {name: text.title() for name, text in fields.items()}
    if rng.random() < _JOINED:
        rows = [(" ".join(row),) for row in rows]
    return Receipt(_laid_out(rng, rows), fields)


def _notes(rng: np.random.Generator) -> list[Row]:
    chosen = [pick(rng, _NOTES).split("|") for _ in range(int(rng.random() ** 1.2 * 8))]
    return [(f"{said} {filled(rng, pattern)}".strip(),) for said, pattern in chosen]


def _head(rng: np.random.Generator, rows: list[Row], fields: dict[str, str]) -> None:
    """The company and where it is."""
    if rng.random() < 0.15:
        rows.append((f"{word(rng, 'cashiers')} {word(rng, 'cashiers')}",))
    first = word(rng, "company first") + (f" {word(rng, 'company first')}" if rng.random() < 0.25 else "")
    fields["company"] = f"{first} {word(rng, 'company second')} {word(rng, 'company end')}".removesuffix(" -")
    rows.append((fields["company"],))
    if rng.random() < 0.5:
        rows.append((filled(rng, "(999999-A)"),))
    number = f"{pick(rng, ('NO. ', 'NO ', 'LOT ', ''))}{1 + int(rng.random() * 300)}"
    street, town = f"{number}, {word(rng, 'receipt streets')}", f"{filled(rng, '99999')} {word(rng, 'towns')}"
    fields["address"] = f"{street}, {town}."
    rows += [(f"{street},",), (f"{town}.",)] if rng.random() < 0.8 else [(f"{street}, {town}.",)]
    phone = filled(rng, word(rng, "phones"))
    if rng.random() < 0.6:
        rows.append((f"TEL: {phone}",) if rng.random() < 0.5 else ("TEL", phone))
    if rng.random() < 0.4:
        rows.append((filled(rng, "GST ID: 999999999999"),))
    rows.append((word(rng, "titles"),))


def _dated(rng: np.random.Generator, day: str) -> Row:
    clock = moment(rng, "times")
    return pick(
        rng,
        (
            (f"DATE: {day}",),
            ("DATE", day),
            (f"{day} {clock}",),
            (day,),
            (f"DATE: {day} {clock}",),
            ("DATE:", day, clock),
        ),
    )


def _sums(rng: np.random.Generator, rows: list[Row], items: int) -> str:
    """Adds the rows from the subtotal to the change, and returns the total, without a currency."""
    currency = pick(rng, ("", "", "", "RM", "RM ", "$", "£", "€"))

    def put(name: str, amount: int) -> None:
        text = f"{'-' if amount < 0 else ''}{currency}{abs(amount) / 100:.2f}"
        rows.append((f"{name} {text}",) if rng.random() < 0.12 else (name, text))

    tax = round(items * pick(rng, (0.06, 0.1, 0.2))) if rng.random() < 0.4 else 0
    rounding = -((items + tax) % 5) if rng.random() < 0.4 else 0
    total = items + tax + rounding
    if rng.random() < 0.5:
        put(pick(rng, ("SUBTOTAL", "SUB TOTAL")), items)
    if tax:
        put(pick(rng, ("TAX", "GST", "VAT")), tax)
    if rounding:
        put(pick(rng, ("ROUNDING", "ROUNDING ADJ")), rounding)
    put(word(rng, "totals"), total)
    if rng.random() < 0.8:
        paid = total if rng.random() < 0.3 else (total // 1000 + 1) * 1000
        put(pick(rng, ("CASH", "CASH", "CASH", "CASH", "PAID", "VISA", "CREDIT CARD")), paid)
        if paid > total or rng.random() < 0.4:
            put("CHANGE", paid - total)
    return f"{total / 100:.2f}"


def _laid_out(rng: np.random.Generator, rows: list[Row]) -> list[TextLine]:
    """The pieces with boxes, down the page and from left to right."""
    lines, height = [], 0.94 / max(len(rows), 14)
    for number, pieces in enumerate(rows):
        top = 0.03 + number * height
        for column, text in enumerate(pieces):
            left = 0.08 + 0.75 * column / (len(pieces) - 1) if len(pieces) > 1 else 0.3
            room = 0.98 if column + 1 == len(pieces) else 0.06 + 0.75 * (column + 1) / (len(pieces) - 1)
            upper = top + height * 0.1 * rng.random()
            box = (left, upper, min(left + 0.018 * len(text) + 0.01, room), upper + 0.7 * height)
            lines.append(TextLine(text, 0.87 + 0.13 * rng.random(), box))
    return lines
