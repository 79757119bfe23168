"""Vision encoders: pixels to patch features. A new one is a class here and a line in `ENCODERS`."""

from typing import Any

import timm
import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from moai.models.configuration import MoAIVisionConfig


class CLIPEncoder(nn.Module):
    """CLIP's last hidden layer before its final norm, class token dropped."""

    def __init__(self, config: MoAIVisionConfig):
        super().__init__()
        fields = dict(config.clip or {}) | {"image_size": config.image_size, "patch_size": config.patch_size}
        self.model = CLIPVisionModel(CLIPVisionConfig(**fields))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values: (B, 3, H, W) normalised -> (B, H/patch * W/patch, hidden)."""
        return self.model(pixel_values=pixel_values).last_hidden_state[:, 1:]


class TimmEncoder(nn.Module):
    """One feature map of any timm backbone, later stages left out, plus a learned position for each patch."""

    def __init__(self, config: MoAIVisionConfig):
        super().__init__()
        self.model = timm.create_model(
            config.name, pretrained=False, features_only=True, out_indices=(config.feature_level,)
        )
        info: Any = self.model.feature_info
        width, stride = info.channels()[-1], info.reduction()[-1]
        if (width, stride) != (config.hidden_size, config.patch_size):
            raise ValueError(
                f"feature level {config.feature_level} of {config.name} is {width} wide with a stride of {stride}; "
                f"the configuration says hidden_size {config.hidden_size} and patch_size {config.patch_size}"
            )
        self.position_embedding = nn.Parameter(torch.zeros(1, config.num_image_tokens, config.hidden_size))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values: (B, 3, H, W) normalised -> (B, H/stride * W/stride, hidden)."""
        features = self.model(pixel_values)[-1].flatten(2).transpose(1, 2)
        return features + self.position_embedding


ENCODERS = {"clip": CLIPEncoder, "timm": TimmEncoder}


def build_encoder(config: MoAIVisionConfig) -> nn.Module:
    """The encoder that `config.encoder` names; ValueError for an unknown name."""
    if config.encoder not in ENCODERS:
        raise ValueError(f"unknown vision encoder {config.encoder!r}; allowed are {', '.join(ENCODERS)}")
    return ENCODERS[config.encoder](config)


def build_projector(vision_dim: int, dim: int) -> nn.Sequential:
    """Patch features (B, I, vision_dim) -> image tokens (B, I, dim)."""
    return nn.Sequential(nn.Linear(vision_dim, dim), nn.GELU(), nn.Linear(dim, dim))
