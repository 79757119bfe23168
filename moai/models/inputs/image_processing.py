"""Pictures and colour maps -> the pixels that a vision encoder reads; transformers' image processor of MoAI."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor
from transformers.image_processing_backends import PilBackend
from transformers.processing_utils import ImagesKwargs, Unpack

from moai.models.configuration import MoAIConfig

PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""CLIP's channel means, as shares of the full range 0..255."""
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)


def normalize_pixels(
    pixels: Tensor,
    legacy_color_map: bool = False,
    mean: Sequence[float] = PIXEL_MEAN,
    std: Sequence[float] = PIXEL_STD,
) -> Tensor:
    """uint8 pixels (B, 3, H, W) in 0..255 -> fp32, `mean` and `std` of the channels (shares of 255) taken out.

    With `legacy_color_map` the pixels are scaled to 0..1 but the statistics are those of 0..255, as the released
    weights saw their colour maps.
    """
    centre, spread = (torch.tensor(channels, device=pixels.device)[:, None, None] for channels in (mean, std))
    values = pixels.float() / 255
    return (values - centre * 255) / (spread * 255) if legacy_color_map else (values - centre) / spread


def image_pixels(picture: Image.Image | np.ndarray, size: int) -> Tensor:
    """One RGB picture (PIL, or uint8 (H, W, 3)) -> uint8 (3, size, size); the aspect ratio is not kept."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture.convert("RGB")
    resized = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return torch.from_numpy(resized.copy()).permute(2, 0, 1)


class MoAIImageKwargs(ImagesKwargs, total=False):
    """transformers' options of image processors, and `legacy_color_map`, see `normalize_pixels`."""

    legacy_color_map: bool


class MoAIImageProcessor(PilBackend):
    """Resizes pictures to a square, whatever their aspect ratio, and takes out the channels' `image_mean` and
    `image_std`: `processor(images, return_tensors="pt")` -> `pixel_values` (P, 3, H, W), fp32.

    `legacy_color_map` is for the colour maps of the experts, as `colour_maps` makes them.
    """

    valid_kwargs = MoAIImageKwargs
    do_convert_rgb = True
    do_resize = True
    size = {"height": 192, "width": 192}  # noqa: RUF012
    resample = Image.Resampling.BICUBIC
    do_rescale = True
    do_normalize = True
    image_mean = PIXEL_MEAN
    image_std = PIXEL_STD
    legacy_color_map = False

    def __init__(self, **kwargs: Unpack[MoAIImageKwargs]):
        super().__init__(**kwargs)  # type: ignore[misc]

    @property
    def side(self) -> int:
        """The side of the square in pixels."""
        return self.size["height"]

    # The same arithmetic as in `normalize_pixels`, down to the last bit.
    def rescale(self, image: np.ndarray, scale: float, **kwargs) -> np.ndarray:  # type: ignore[override]
        return image.astype(np.float32) / np.float32(1 / scale)

    def normalize(self, image: np.ndarray, mean, std, **kwargs) -> np.ndarray:  # type: ignore[override]
        centre, spread = (np.asarray(values, dtype=np.float32).reshape(-1, 1, 1) for values in (mean, std))
        return (image.astype(np.float32) - centre) / spread

    def colour_maps(self, maps: Sequence[np.ndarray]) -> Tensor:
        """Colour maps (H, W, 3), uint8, at their final size -> (B, 3, H, W), fp32."""
        pixels = torch.from_numpy(np.stack(maps)).permute(0, 3, 1, 2)
        return normalize_pixels(pixels, self.legacy_color_map, self.image_mean, self.image_std)


AutoImageProcessor.register(MoAIConfig, image_processor_classes={"pil": MoAIImageProcessor}, exist_ok=True)
