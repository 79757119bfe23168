"""Questions and statements that people wrote, as they wrote them."""

from moai.data.draws import pick
from moai.data.photographs.asking import Asking, Turn, yes
from moai.data.photographs.questions.captions import tidy

TRUE = ('Is this statement true of the image? "{s}"', 'Is this statement true of the image? "{s}"',
        "{s} Is that true?", "True or false: {s}", "Is the following statement true? {s}", "{s} True or false?",
        'Does the {pic} show this: "{s}"?', "{s} Is this right?")  # fmt: skip


def question(asking: Asking) -> Turn | None:
    """One of the questions, unless what is to be read there is not legible."""
    if not asking.photograph.questions or asking.photograph.text_lines:
        return None
    one = pick(asking.rng, asking.photograph.questions)
    text, answer = str(one["question"]).strip(), str(one["answer"]).strip()
    if asking.coin(0.3):
        text = text[:1].upper() + text[1:]
    return (text, answer) if text and answer else None


def statement(asking: Asking) -> Turn | None:
    """Whether a statement on where things are is true, answered as it is asked for."""
    if not asking.photograph.spatial_statements:
        return None
    one = pick(asking.rng, asking.photograph.spatial_statements)
    template = pick(asking.rng, TRUE)
    said = tidy(str(one["statement"]))
    text = template.replace("{s}", said).replace("{pic}", "image")
    true = bool(one["true"])
    return text, str(true) if "false" in template else yes(true)
