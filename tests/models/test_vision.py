"""Vision encoders: shapes, what is dropped, what is refused."""

import pytest
import torch
from transformers import CLIPVisionModel

from moai.models.configuration import MoAIVisionConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.vision import build_encoder, build_projector
from tests.conftest import tiny_config

CLIP = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


@torch.no_grad()
def test_clip_gives_its_last_layer_without_the_class_token():
    torch.manual_seed(0)
    config = MoAIVisionConfig(encoder="clip", name="", image_size=28, patch_size=7, hidden_size=16, clip=CLIP)
    encoder = build_encoder(config).eval()
    pixels = torch.randn(2, 3, 28, 28)
    features = encoder(pixels)
    assert features.shape == (2, config.num_image_tokens, 16) == (2, 16, 16)
    assert isinstance(encoder.model, CLIPVisionModel)
    torch.testing.assert_close(features, encoder.model(pixel_values=pixels).last_hidden_state[:, 1:])


@pytest.mark.parametrize(
    ("name", "level", "size", "patch", "width"),
    [("resnet18d", 1, 32, 4, 64), ("resnet18d", 2, 48, 8, 128), ("vit_tiny_patch16_224", 11, 224, 16, 192)],
)
@torch.no_grad()
def test_timm_gives_one_token_for_each_patch(name, level, size, patch, width):
    torch.manual_seed(0)
    config = MoAIVisionConfig(name=name, feature_level=level, image_size=size, patch_size=patch, hidden_size=width)
    encoder = build_encoder(config).eval()
    side = size // patch
    pixels = torch.zeros(1, 3, size, size)
    plain = encoder(pixels)
    assert plain.shape == (1, side * side, width)
    if name.startswith("resnet"):
        # Row by row: something in the top right corner changes the top right tokens most.
        pixels[:, :, :patch, -patch:] = 3.0
        row, column = divmod((encoder(pixels) - plain).abs().sum(dim=-1).argmax().item(), side)
        assert row < side / 2 <= column
    encoder.position_embedding += 1
    assert not torch.equal(encoder(pixels), plain)


def test_a_vit_inside_the_model(inputs, tmp_path):
    torch.manual_seed(0)
    config = tiny_config(
        vision_config=MoAIVisionConfig(
            name="vit_tiny_patch16_224", feature_level=0, image_size=224, patch_size=16, hidden_size=192
        )
    )
    model = MoAIForConditionalGeneration(config).eval()
    model.save_pretrained(tmp_path)
    again = MoAIForConditionalGeneration.from_pretrained(tmp_path).eval()
    pixels = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(again.image_features(pixels), model.image_features(pixels))


@pytest.mark.parametrize(("field", "value"), [("hidden_size", 128), ("patch_size", 8)])
def test_wrong_sizes_are_refused(field, value):
    fields = {"name": "resnet18d", "feature_level": 1, "image_size": 32, "patch_size": 4, "hidden_size": 64}
    with pytest.raises(ValueError, match="feature level 1 of resnet18d is 64 wide with a stride of 4"):
        build_encoder(MoAIVisionConfig(**fields | {field: value}))


def test_unknown_encoder():
    with pytest.raises(ValueError, match="unknown vision encoder 'dino'; allowed are clip, timm"):
        build_encoder(MoAIVisionConfig(encoder="dino"))


def test_projector_has_the_reference_layout():
    assert [tuple(p.shape) for p in build_projector(4, 6).parameters()] == [(6, 4), (6,), (6, 6), (6,)]
