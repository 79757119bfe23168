import pytest

from moai.assistant import MoAI
from perception import Detection, Scene, TextLine, load_image
from perception.registry import expert_names
from tests.data import conftest as drawn

tokenizer, processor, model_folder = drawn.tokenizer, drawn.processor, drawn.model_folder


class OneScene:
    """In place of experts: every picture holds a dog and a sign. Counts how often it looks, and notes with whom."""

    experts = expert_names()

    def __init__(self):
        self.looks = 0
        self.asked: set[tuple[str, ...]] = set()

    def remember(self, pictures):
        """Nothing is remembered."""

    def batch(self, pictures, experts=None) -> list[Scene]:
        self.looks += len(pictures)
        self.asked.add(experts)
        dog, words = Detection("dog", (0.1, 0.2, 0.4, 0.6), 0.9), TextLine("OPEN", 0.99)
        return [Scene(*load_image(picture).size, detections=[dog], text_lines=[words]) for picture in pictures]


@pytest.fixture(scope="session")
def assistant(model_folder):
    """A tiny random model; its answers are nonsense, but the same nonsense every time."""
    made = MoAI.from_pretrained(model_folder, device="cpu", perception=OneScene())
    made.model.generation_config.eos_token_id = None  # a random model must not stop at once
    return made
