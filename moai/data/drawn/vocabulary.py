"""The words of the drawn world, for a tokenizer that knows them whole."""

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.questions.ask import template_words
from moai.data.nouns import plural
from moai.data.rows import WINDOW_QUESTION
from moai.models.prompts import PROMPT_STYLES, SYSTEM
from perception.labels import COCO_PANOPTIC_CLASSES, PSG_PREDICATES
from perception.scene import Detection, Relation, Scene, TextLine
from perception.verbalize import verbalize


def drawn_vocabulary() -> list[str]:
    """Every word of the drawn world: classes, their plurals, predicates, and what prompts and experts' sentences say.

    Words on signs are left out on purpose: they are read letter by letter.
    """
    stuff = [
        name.removesuffix("-merged").removesuffix("-other").removesuffix("-stuff") for name in COCO_PANOPTIC_CLASSES
    ]
    labels = [*THING_LABELS, *STUFF_LABELS, *stuff]
    example = Scene(
        1,
        1,
        detections=[Detection("dog", (0, 0, 1, 1), 1.0)],
        objects=["dog", "dog"],
        relations=[Relation(0, "on", 1, 1.0)],
        text_lines=[TextLine("A", 1.0)],
    )
    sentences = [SYSTEM, verbalize(example), PROMPT_STYLES["plain"].question, WINDOW_QUESTION]
    return [*labels, *map(plural, labels), *PSG_PREDICATES, *sorted(template_words()), *sentences]
