"""Texts behind one prompt in a row padded to the width of a graph are as likely as in a row of their own width."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from moai.inference import comparing
from moai.inference.captured import COARSE_STEP, WIDTH_STEP
from moai.inference.comparing import CapturedComparing, Row, compare_as_written
from moai.inference.encoding import INPUTS
from moai.inference.generation import FastGeneration, compare, fast_generation
from moai.inference.graphs import Graphs
from moai.settling.continuations import continuation_losses
from tests.conftest import IMAGE_TOKEN, single
from tests.inference.test_generation import talkative

TARGETS = [[5], [7, 8, 9], [10, 5], [11, 12, 13, 14, 15, 16]]


@pytest.fixture(scope="module")
def model():
    return talkative()


@pytest.fixture
def pictures(model, inputs):
    """What the model makes of a picture: with experts' words, without them, and nothing at all."""
    given = single(inputs, 0)
    with torch.inference_mode():
        seen = model.encode(**{name: given[name] for name in INPUTS})
        return seen, {"image_embeds": seen["image_embeds"]}, {}


def prompt(model, picture: dict, words: int, first: int = 17) -> list[int]:
    """A picture, if there is one, and so many words, which differ by the `first`."""
    image = [IMAGE_TOKEN] * model.config.num_image_tokens if picture else []
    return [first, *image, *(4 + (first + place) % 60 for place in range(words - 1))]


def losses_by(monkeypatch, way, model, prompt, targets, picture) -> list[float]:
    with monkeypatch.context() as patch:
        patch.setattr("moai.settling.continuations.compare", way)
        return continuation_losses(model, prompt, targets, 0, picture)


def pairs(monkeypatch, padded, model, prompt, targets, picture) -> tuple:
    """Losses by a row padded, as expected from one that is not."""
    ways = (padded, compare_as_written)
    found, written = (losses_by(monkeypatch, way, model, prompt, targets, picture) for way in ways)
    assert len(found) == len(targets) and min(found) > 0
    return found, pytest.approx(written, rel=1e-4)


@pytest.mark.parametrize("step", [WIDTH_STEP, COARSE_STEP])
def test_losses_are_the_same(model, pictures, step, monkeypatch):
    padded = CapturedComparing(None, step)
    for picture in pictures:
        for words in (2, 50, 52, 90):
            for count in (1, 2, len(TARGETS)):
                told = prompt(model, picture, words)
                found, expected = pairs(monkeypatch, padded, model, told, TARGETS[:count], picture)
                assert found == expected
    widths = {dict(one[:2] for one in key[1:])["ids"][1] for key in padded._readings}
    assert widths == ({64, 128, 192} if step == WIDTH_STEP else {COARSE_STEP})


def test_what_is_kept_is_not_what_was_given(model, pictures, monkeypatch):
    (seen, *_), padded = pictures, CapturedComparing(None)
    others = [(prompt(model, seen, 20), seen), (prompt(model, seen, 24, first=40), seen)]
    others.append((others[0][0], {name: -one for name, one in seen.items()}))
    for _ in range(2):
        said = [pairs(monkeypatch, padded, model, told, TARGETS, picture) for told, picture in others]
        assert all(found == expected for found, expected in said)
        assert len({tuple(found) for found, _ in said}) == len(others)
    assert len(padded._readings) == 1


def test_other_rows_run_as_written(model, pictures, inputs, monkeypatch):
    (seen, *_), padded = pictures, CapturedComparing(None)
    told = prompt(model, seen, 20)
    given = {name: one for name, one in single(inputs, 0).items() if name in INPUTS}
    found, expected = pairs(monkeypatch, padded, model, told, TARGETS, given)
    assert found == expected
    with monkeypatch.context() as patch:
        patch.setattr(comparing, "MAX_TOKENS", 64)
        found, expected = pairs(monkeypatch, padded, model, told, TARGETS, seen)
        assert found == expected
    handle = model.mixers["0"].register_forward_hook(lambda *_: None)
    found, expected = pairs(monkeypatch, padded, model, told, TARGETS, seen)
    handle.remove()
    assert found == expected
    monkeypatch.setattr(model, "_routing", "random")
    losses_by(monkeypatch, padded, model, told, TARGETS, seen)
    assert not padded._readings
    monkeypatch.undo()
    with pytest.raises(ValueError, match="exactly 64 image tokens"):
        losses_by(monkeypatch, padded, model, told[:10], TARGETS, seen)


def test_few_are_kept_and_none_of_other_mixers(pictures, monkeypatch):
    model, (seen, *_) = talkative(), pictures
    engine = FastGeneration(model, compiled=False)
    assert engine.comparing is None, "a CPU captures nothing"
    engine.capture(None)
    padded = engine.comparing
    assert padded.step == COARSE_STEP
    monkeypatch.setattr(comparing, "MAX_GRAPHS", 2)
    for picture in (seen, {}, {"image_embeds": seen["image_embeds"]}):
        losses_by(monkeypatch, padded, model, prompt(model, picture, 20), TARGETS, picture)
    assert len(padded._readings) == 2
    model.mixers["2"].language_gate = nn.Linear(32, 3)
    found, expected = pairs(monkeypatch, padded, model, prompt(model, seen, 20), TARGETS, seen)
    assert found == expected and len(padded._readings) == 1


class Launches(TorchDispatchMode):
    """Takes down the names of what a pass runs."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def test_nothing_waits_for_the_device(model, pictures):
    waiting = {"_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "equal", "unique_dim", "lift_fresh"}
    for picture in pictures:
        ids = torch.tensor([[*prompt(model, picture, 20), 5, 6]])
        turns = torch.zeros_like(ids)
        turns[0, -2:] = torch.tensor([1, comparing.PADDING])
        with Launches() as seen:
            comparing._read(model, ids, turns, **{name: one.clone() for name, one in picture.items()})
        assert "mm" in seen.names and not seen.names & waiting


def row_of(model, picture, words) -> Row:
    ids = torch.tensor([[*prompt(model, picture, words), 7, 8, 9]])
    turns = torch.zeros_like(ids)
    turns[0, -3:] = torch.tensor([1, 1, 2])
    return Row(ids, turns, torch.tensor([-4, -3, -4]) + ids.shape[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_graphs_give_what_the_model_gives(pictures):
    model = talkative().to("cuda")
    with torch.inference_mode():
        pictures = [{name: one.to("cuda") for name, one in picture.items()} for picture in pictures]
    for mode in (torch.inference_mode, torch.no_grad):
        for words in (20, 60, 20):
            for picture in pictures:
                row = row_of(model, picture, words)
                with mode():
                    found, written = compare(model, row, picture), compare_as_written(model, row, picture)
                torch.testing.assert_close(found, written, rtol=1e-4, atol=1e-4)
    kept = fast_generation(model).comparing._readings
    assert len(kept) == len(pictures) and all(one.graph is not None for one in kept.values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@torch.no_grad()
def test_a_layer_that_asks_the_device_is_run_as_written(pictures):
    model = talkative().to("cuda")
    picture = {name: one.to("cuda") for name, one in pictures[0].items()}

    class Asking(nn.Linear):
        def forward(self, states):
            return super().forward(states) * float(states.abs().max() > 0)

    model.mixers["0"].language_gate = Asking(32, 3).to("cuda")
    padded, row = CapturedComparing(Graphs()), row_of(model, picture, 20)
    for _ in range(2):
        found, written = padded(model, row, picture), compare_as_written(model, row, picture)
        torch.testing.assert_close(found, written, rtol=1e-4, atol=1e-4)
    assert list(padded._readings.values()) == [None]
