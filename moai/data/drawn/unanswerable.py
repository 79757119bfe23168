"""Examples whose picture tells nothing: the model learns to keep to what the experts say, or to say nothing."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from moai.data.drawn.examples import READABLE_KINDS, ImageQuestions, turn
from moai.data.drawn.ground_truth import to_scene
from moai.data.drawn.noise import observe
from moai.data.drawn.question import Question
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.render.ood_images import ood_image
from moai.data.drawn.text.pages import ask_of_page, page_lines
from moai.data.example import Example, Meta
from perception.scene import Scene, TextLine

NOTHING = "There is nothing that I know."
"""The answer to "Describe the picture" where no expert sees anything."""
SILENT, PAGES = 0.25, 0.3
"""Shares of the unfamiliar samples: no expert says anything; only OCR does."""

_OF_NOTHING = {"existence": "No", "count": "0", "description": NOTHING}
_ABOUT_TEXT = 2


def of_nothing(question: Question) -> Question:
    """A question about what is there, how many of it or all of it, asked of a picture that shows nothing."""
    yes_no = question.answer in ("Yes", "No")
    return replace(question, answer="No" if yes_no else _OF_NOTHING[question.kind])


class OODImages(ImageQuestions):
    """`ImageQuestions`, a `share` of which have a picture that is unlike drawn scenes (see
    `moai.data.drawn.render.ood_images`), `side` pixels wide and high.

    What the experts say about it is made as for a drawn scene, or is text alone, or nothing, and all that is asked can
    be answered from that. Its patches are nothing that has a name.
    """

    def __init__(self, *args, side: int, share: float, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not 0 <= share <= 1:
            raise ValueError(f"the share of unfamiliar pictures must be within 0 to 1, got {share}")
        self.side, self.share = side, share

    def about(self, seed: int) -> Iterator[Example]:
        """The example of one seed, with a strange picture or as `ImageQuestions`."""
        rng = np.random.default_rng((seed, 4))
        if rng.random() >= self.share:
            yield from super().about(seed)
            return
        scene, questions = self.told(seed, rng)
        image = ood_image(self.side, rng)
        yield Example(image, scene, list(map(turn, questions)), Meta(self.experts, windows=False, rng=rng))

    def told(self, seed: int, rng: np.random.Generator) -> tuple[Scene, list[Question]]:
        """What the experts say, and questions that it answers."""
        count, draw = self.sizes.questions, rng.random()
        layout, errors = self.scene(seed)
        if draw < SILENT:
            asked = [of_nothing(one) for one in ask(layout, rng, count - _ABOUT_TEXT, tuple(_OF_NOTHING), "varied")]
            return Scene(384, 384), asked + ask_of_page([], rng, _ABOUT_TEXT)
        if draw < SILENT + PAGES:
            lines = page_lines(rng, "varied")
            scene = Scene(384, 384, text_lines=[TextLine(line, 1.0) for line in lines])
            return scene, ask_of_page(lines, rng, count)
        asked = ask(layout, rng, count, READABLE_KINDS, "varied")
        # Descriptions name the colours of signs.
        told = [one for one in asked if not (one.colours or (one.kind == "description" and layout.signs))]
        return observe(to_scene(layout), rng, errors=errors), told
