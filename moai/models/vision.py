"""Vision encoders: pixels to patch features. A new one is a class here and a line in `ENCODERS`."""

import inspect
from typing import Any

import timm
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, CLIPVisionConfig, CLIPVisionModel

from moai.models.configuration import MoAIVisionConfig


class CLIPEncoder(nn.Module):
    """CLIP's last hidden layer before its final norm, class token dropped."""

    def __init__(self, config: MoAIVisionConfig):
        super().__init__()
        fields = dict(config.clip or {}) | {"image_size": config.image_size, "patch_size": config.patch_size}
        own: Any = CLIPVisionConfig
        self.model = CLIPVisionModel(own(**fields, attn_implementation=config._attn_implementation))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values: (B, 3, H, W) normalised -> (B, H/patch * W/patch, hidden)."""
        return self.model(pixel_values=pixel_values).last_hidden_state[:, 1:]


class TransformersEncoder(nn.Module):
    """The last hidden states of any vision model of transformers; class and register tokens, which come first, are
    dropped."""

    def __init__(self, config: MoAIVisionConfig):
        super().__init__()
        fields = dict(config.hub or {})
        own = AutoConfig.for_model(fields.pop("model_type", ""), **fields)
        self.model = AutoModel.from_config(
            own, attn_implementation=config._attn_implementation, trust_remote_code=False
        )
        self.patch_size = config.patch_size
        self.options = stretching(self.model, config.image_size)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values: (B, 3, H, W) normalised -> (B, H/patch * W/patch, hidden)."""
        states = self.model(pixel_values=pixel_values, **self.options).last_hidden_state
        if states.ndim == 4:  # a map (B, hidden, H, W)
            return states.flatten(2).transpose(1, 2)
        height, width = (side // self.patch_size for side in pixel_values.shape[-2:])
        return states[:, states.shape[1] - height * width :]


def stretching(model: nn.Module, side: int) -> dict[str, bool]:
    """What a vision model of transformers has to be told for pictures of another side than its own, in pixels."""
    own: Any = getattr(model.config, "image_size", side)
    taken = (inspect.signature(module.forward).parameters for module in model.modules())
    stretches = any("interpolate_pos_encoding" in names for names in taken)
    return {"interpolate_pos_encoding": True} if stretches and own not in (side, [side, side], (side, side)) else {}


class TimmEncoder(nn.Module):
    """One feature map of any timm backbone, later stages left out, plus a learned position for each patch."""

    def __init__(self, config: MoAIVisionConfig):
        super().__init__()
        if not timm.is_model(config.name):  # other names lead to folders and hubs
            raise ValueError(f"timm knows no architecture {config.name!r}")
        self.model = timm_features(config.name, config.feature_level, config.image_size)
        width, stride = width_and_stride(self.model)
        if (width, stride) != (config.hidden_size, config.patch_size):
            raise ValueError(
                f"feature level {config.feature_level} of {config.name} is {width} wide with a stride of {stride}; "
                f"the configuration says hidden_size {config.hidden_size} and patch_size {config.patch_size}"
            )
        self.channels_last = str(getattr(self.model, "output_fmt", "")).endswith("NHWC")
        self.position_embedding = nn.Parameter(torch.zeros(1, config.num_image_tokens, config.hidden_size))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values: (B, 3, H, W) normalised -> (B, H/stride * W/stride, hidden)."""
        features = self.model(pixel_values)[-1]
        tokens = features.flatten(1, 2) if self.channels_last else features.flatten(2).transpose(1, 2)
        return tokens + self.position_embedding


def timm_features(name: str, level: int, image_size: int, **arguments) -> nn.Module:
    """The timm backbone `name` up to feature map `level` (-1: the last); `arguments` go to `timm.create_model`.

    Raises ValueError with one sentence for an architecture that timm does not know or that has no feature maps.
    """
    settings: dict[str, Any] = {"pretrained": False, "features_only": True, "out_indices": (level,)} | arguments
    try:
        try:
            # Those with a position for each patch have to know the size; the others do not take it.
            return timm.create_model(name, img_size=image_size, **settings)
        except TypeError:
            return timm.create_model(name, **settings)
    except (RuntimeError, AssertionError, AttributeError, IndexError) as error:
        raise ValueError(f"timm has no feature level {level} of an architecture {name!r}: {error}") from error


def width_and_stride(features: nn.Module) -> tuple[int, int]:
    """Channels of a timm backbone's feature map, and its stride in pixels."""
    info: Any = features.feature_info
    return info.channels()[-1], info.reduction()[-1]


ENCODERS = {"clip": CLIPEncoder, "timm": TimmEncoder, "transformers": TransformersEncoder}


def build_encoder(config: MoAIVisionConfig) -> nn.Module:
    """The encoder that `config.encoder` names; ValueError for an unknown name."""
    if config.encoder not in ENCODERS:
        raise ValueError(f"unknown vision encoder {config.encoder!r}; allowed are {', '.join(ENCODERS)}")
    return ENCODERS[config.encoder](config)


def build_projector(vision_dim: int, dim: int) -> nn.Sequential:
    """Patch features (B, I, vision_dim) -> image tokens (B, I, dim)."""
    return nn.Sequential(nn.Linear(vision_dim, dim), nn.GELU(), nn.Linear(dim, dim))
