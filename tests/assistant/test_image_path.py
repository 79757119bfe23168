"""A picture is loaded, hashed and tokenised once for a question, however many experts look at it."""

import hashlib
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from moai.assistant import MoAI
from moai.models.processing import MoAIProcessor
from perception import Perception
from perception.images import loading
from tests.conftest import example_image

SHORT = {"max_new_tokens": 2}


@pytest.fixture(scope="module")
def loaded(model_folder):
    # Segmentation and detection share a network, which remembers pictures by their digest.
    given = Perception(experts="seg,det,ocr", cache_size=0)
    return MoAI.from_pretrained(model_folder, device="cpu", perception=given)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of two pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for name in ("street", "bed"):
        paths.append(folder / f"{name}.png")
        image = Image.fromarray(example_image(name))
        image.resize((320, 320)).save(paths[-1])
    return paths


class Work:
    """Counts the loads, the hashes of whole pictures, and the texts that are tokenised."""

    def __init__(self, monkeypatch):
        self.loads = self.hashes = 0
        self.texts: Counter = Counter()
        self._watch(monkeypatch, loading, "_load", self._loaded)
        for name in ("blake2b", "sha256", "sha1", "md5"):
            self._watch(monkeypatch, hashlib, name, self._hashed)
        self._watch(monkeypatch, MoAIProcessor, "encode_text", lambda _, text: self.texts.update([text]))

    @staticmethod
    def _watch(monkeypatch, place, name, note):
        real = getattr(place, name)

        def watched(*args, **kwargs):
            note(*args)
            return real(*args, **kwargs)

        monkeypatch.setattr(place, name, watched)

    def _loaded(self, *_):
        self.loads += 1

    def _hashed(self, data=b""):
        self.hashes += memoryview(data).nbytes > 10_000

    def of(self, *questions) -> tuple[int, int, list[int]]:
        """Loads, hashes, and how often each question was tokenised, since the last call."""
        turns = [self.texts[f" USER: {question} ASSISTANT:"] for question in questions]
        words = [count for text, count in self.texts.items() if text.startswith("The image includes")]
        assert all(count == 1 for count in words)
        done = self.loads, self.hashes, turns
        self.loads = self.hashes = 0
        self.texts.clear()
        return done


@pytest.fixture
def work(monkeypatch):
    return Work(monkeypatch)


def test_once_for_a_question(loaded, files, work):
    image = Image.open(files[0])
    for picture in (files[0], str(files[0]), files[0].read_bytes(), image, np.asarray(image)):
        loaded.ask(picture, "Why?", **SHORT)
        assert work.of("Why?") == (1, 1, [1])
    loaded.ask(files[0], "Why?", moai=False, **SHORT)
    assert work.of("Why?") == (1, 0, [1])


def test_once_in_chat_and_stream(loaded, files, work):
    messages = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So."},
        {"role": "user", "content": "Where?"},
    ]
    loaded.chat(files[0], messages, **SHORT)
    assert work.of("Why?", "Where?") == (1, 1, [1, 1])
    list(loaded.stream(files[0], messages, **SHORT))
    assert work.of("Why?", "Where?") == (1, 1, [1, 1])
    assert loaded.perceive(files[0]).text_lines
    assert work.of() == (1, 1, [])


def test_equal_pictures_of_a_batch_are_one(loaded, files, work, monkeypatch):
    seen = []
    features = loaded.model.image_features

    def watched(pixel_values):
        seen.append(len(pixel_values) // 2)  # each picture with its colour map
        return features(pixel_values)

    monkeypatch.setattr(loaded.model, "image_features", watched)
    data = files[0].read_bytes()
    for same in (
        [str(files[0]), files[0], str(files[0])],
        [data, bytes(bytearray(data)), data],
    ):
        loaded.ask_batch(same, ["Why?", "Where?", "Who?"], **SHORT)
        assert work.of("Why?", "Where?", "Who?") == (1, 1, [1, 1, 1])
        assert seen.pop() == 1 and not seen
    # The same pixels in other clothes are told by their digest.
    pixels = np.asarray(Image.open(files[0]))
    loaded.ask_batch([files[0], data, pixels, pixels.copy(), files[1]], ["Why?"] * 5, **SHORT)
    loads, hashes, _ = work.of()
    assert (loads, hashes, seen) == (5, 5, [2])


def test_arrays_of_a_batch_are_told_apart_by_content(loaded, files):
    first, second = (np.array(Image.open(path)) for path in files)
    alone = [loaded.ask(picture, "What does it say?", max_new_tokens=8) for picture in (first, second)]
    stack = np.stack([first, second, first])
    for pictures in (stack, list(stack)):
        together = loaded.ask_batch(pictures, ["What does it say?"] * 3, max_new_tokens=8)
        for answer, expected in zip(together, [*alone, alone[0]], strict=True):
            assert answer.scene.text_lines == expected.scene.text_lines
            assert answer.text == expected.text
    first[:] = second
    changed = loaded.ask_batch([first], ["What does it say?"], max_new_tokens=8)[0]
    assert changed.scene.text_lines == alone[1].scene.text_lines


def test_what_is_no_batch_is_one_sentence(loaded, files):
    stack = np.zeros((2, 64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="an array of shape 2 x 64 x 64 x 3 is no picture"):
        loaded.ask(stack, "Why?")
    with pytest.raises(ValueError, match="an array of shape 64 x 64 x 3 holds no pictures; give a list"):
        loaded.ask_batch(stack[0], ["Why?"])
    with pytest.raises(ValueError, match="questions must be a list with one for each answer, not str"):
        loaded.ask_batch([files[0]], "Why?")
    for pictures in (str(files[0]), files[0], None, 3, Image.open(files[0]), io.BytesIO(), files[0].read_bytes()):
        with pytest.raises(ValueError, match="pictures must be a list with one for each answer, not "):
            loaded.ask_batch(pictures, ["Why?"])
