"""Training samples whose picture tells nothing: the model learns to keep to what the experts say, or to say nothing."""

from dataclasses import replace

import numpy as np

from moai.data.drawn.ground_truth import to_scene
from moai.data.drawn.noise import observe
from moai.data.drawn.question import Question
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.render.ood_images import strange_image
from moai.data.drawn.source import READABLE_KINDS, ImageQuestions
from moai.data.drawn.text.pages import ask_of_page, page_lines
from moai.models.modeling import IGNORED
from perception.panoptic import panoptic_ids
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


class UnfamiliarImages(ImageQuestions):
    """`ImageQuestions`, a `share` of which have a picture that is unlike drawn scenes (see
    `moai.data.drawn.render.ood_images`).

    What the experts say about it is made as for a drawn scene, or is text alone, or nothing, and all that is asked can
    be answered from that. Its `patch_labels` name nothing.
    """

    def __init__(self, *args, share: float, **kwargs):
        super().__init__(*args, **kwargs)
        self.share = share

    def sample(self, seed: int) -> dict[str, np.ndarray] | None:
        """The sample of one seed, as `ImageQuestions`."""
        rng = np.random.default_rng((seed, 4))
        return self.unfamiliar(seed, rng) if rng.random() < self.share else super().sample(seed)

    def unfamiliar(self, seed: int, rng: np.random.Generator) -> dict[str, np.ndarray] | None:
        """A sample with a strange picture."""
        side = self.processor.image_size
        scene, questions = self.told(seed, rng)
        rows = self.rows([self.turn(question) for question in questions])
        sample = {
            "pixels": strange_image(side, rng).transpose(2, 0, 1).copy(),
            "patch_labels": np.full(self.processor.num_image_tokens, IGNORED),
            "panoptic": panoptic_ids(scene, side),
        }
        return sample | self.arrays(self.words(scene, self.experts)) | rows if rows else None

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
