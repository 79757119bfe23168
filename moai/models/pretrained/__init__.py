"""Models made of pretrained parts: any decoder of transformers, any vision encoder of transformers or timm."""

from moai.models.pretrained.build import build

__all__ = ["build"]
