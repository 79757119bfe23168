"""The drawn world as a source of training data."""

from moai.data.drawn.examples import DrawnExamples, ExpertWords, ImageQuestions, VerbalizedScenes
from moai.data.drawn.unanswerable import OODImages
from moai.data.rows import ImageRows, Rows, TextRows
from perception.registry import expert_names


def drawn_source(
    rows: Rows, seed: int, difficulty: float | None = None, readings: int = 0, unfamiliar: float = 0.0
) -> DrawnExamples:
    """Drawn scenes from seed `seed` on, told as the rows need them.

    difficulty: of the scenes, 0 to 1; None mixes them. readings: of a picture's questions, those that ask what signs
    say. unfamiliar: the share of pictures that tell nothing, where all experts speak.
    Raises ValueError for a seed that is held out or a number out of its range.
    """
    if isinstance(rows, TextRows):
        return VerbalizedScenes(rows.sizes, seed, difficulty)
    if not isinstance(rows, ImageRows):
        return ExpertWords(rows.sizes, seed, difficulty, experts=rows.experts)
    pictures = {"experts": rows.experts, "readings": readings}
    # What is asked about a picture that tells nothing rests on the words of all experts.
    if unfamiliar and set(rows.experts) >= set(expert_names()):
        side = rows.processor.image_size
        return OODImages(rows.sizes, seed, difficulty, side=side, share=unfamiliar, **pictures)
    return ImageQuestions(rows.sizes, seed, difficulty, **pictures)
