"""What is written: number plates, receipts and their lines. Asked only where the experts read it, too."""

from moai.data.draws import pick
from moai.data.photographs.asking import Asking, Turn
from perception.scene import TextLine

ILLEGIBLE = "I cannot read it."
PLATE = (
    "What does the number plate say?", "What does the license plate say?", "What is the license plate number?",
    "What is the number plate of the car?", "Read the number plate.", "Which number is on the plate?",
    "What is written on the plate?", "What is the registration number of the vehicle?", "Read the plate.",
)  # fmt: skip
FIELDS = {
    "total": ("What is the total?", "What is the total amount?", "How much is the total?",
              "How much was paid in total?",
              "What does it cost altogether?", "What is the total on the receipt?", "What is the amount due?"),
    "date": ("What is the date?", "What is the date of the receipt?", "When was this receipt issued?",
             "On which date was this bought?", "Which date is on the receipt?"),
    "company": ("Which company is this receipt from?", "What is the name of the company?", "Which shop is this from?",
                "What is the name of the store?", "Who issued this receipt?", "Where was this bought?"),
    "address": ("What is the address?", "What is the address of the company?", "Where is the shop?",
                "Which address is on the receipt?"),
}  # fmt: skip
ROWS = {
    "CASH": ("How much cash was given?", "How much cash was paid?", "What does it say behind CASH?"),
    "CHANGE": ("How much change was given?", "What is the change?", "How much is the change?"),
    "SUBTOTAL": ("What is the subtotal?", "How much is the subtotal?"),
    "SUB TOTAL": ("What is the subtotal?", "How much is the subtotal?"),
    "ROUNDING": ("What is the rounding?", "How much was it rounded by?"),
    "DISCOUNT": ("What is the discount?", "How much is the discount?"),
    "GST": ("How much is the GST?", "What is the tax?"),
    "TAX": ("How much is the tax?", "What is the tax?"),
    "TIME": ("What is the time on the receipt?", "At what time was it issued?"),
    "CASHIER": ("Who was the cashier?", "What is the name of the cashier?"),
    "TEL": ("What is the phone number?", "What is the telephone number of the shop?"),
}
"""Questions about what stands in the row of a word."""
TEXT = (
    "What does the text say?", "What is written here?", "Which words are in the {pic}?", "What text is in the {pic}?",
    "Read the text.", "What does it say?", "Read out what is written in the {pic}.",
)  # fmt: skip
_MAX_ADDRESS, _SURE = 90, 0.95


def plate(asking: Asking) -> Turn | None:
    """What a plate says; where experts read nothing at all, that it cannot be read."""
    lines = asking.photograph.text_lines
    if len(lines) != 1 or asking.photograph.fields:
        return None
    if asking.legible(lines[0].text):
        return asking.say(PLATE), lines[0].text
    nothing = asking.scene is not None and not asking.scene.text_lines
    return (asking.say(PLATE), ILLEGIBLE) if nothing and asking.coin(0.3) else None


def seen_text(asking: Asking) -> Turn | None:
    """The one line that experts surely read where people wrote none down."""
    if asking.scene is None or asking.photograph.text_lines or len(asking.scene.text_lines) != 1:
        return None
    line = asking.scene.text_lines[0]
    sure = line.score >= _SURE and len(line.text) > 2 and line.text.isascii()
    return (asking.say(TEXT), line.text) if sure else None


def field(asking: Asking) -> Turn | None:
    """A field of a receipt."""
    known = {key: text for key, text in asking.photograph.fields.items() if text and key in FIELDS}
    if not known:
        return None
    # Addresses are long and rarely asked for.
    key = pick(asking.rng, [one for one in known if one != "address"] * 3 + [one for one in known if one == "address"])
    text = known[key]
    # Names and addresses are put together from several lines.
    words = text.split() if key in ("company", "address") else [text]
    read = sum(asking.legible(word) for word in words) >= (0.75 if key == "company" else 0.9) * len(words)
    return (asking.say(FIELDS[key]), text) if read and len(text) <= _MAX_ADDRESS else None


def row(asking: Asking) -> Turn | None:
    """What stands to the right of a word such as CHANGE on a receipt."""
    lines = asking.photograph.text_lines
    found = []
    for line in lines:
        key = line.text.upper().rstrip(" :.()RM")
        if key in ROWS and line.box is not None:
            right = [one for one in lines if one is not line and _behind(one, line)]
            if len(right) == 1 and asking.legible(right[0].text):
                found.append((key, right[0].text))
    keys = [key for key, _ in found]
    once = [one for one in found if keys.count(one[0]) == 1]
    if not once:
        return None
    key, text = pick(asking.rng, once)
    return asking.say(ROWS[key]), text.lstrip(": ")


def _behind(one: TextLine, line: TextLine) -> bool:
    """Whether one line stands in the row of another, to its right."""
    assert line.box is not None
    if one.box is None or one.box[0] < line.box[2] - 0.01:
        return False
    height = min(one.box[3] - one.box[1], line.box[3] - line.box[1])
    return min(one.box[3], line.box[3]) - max(one.box[1], line.box[1]) > 0.5 * height
