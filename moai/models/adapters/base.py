"""The model under an adapter: where it is found, and how it is told from another."""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from moai.models.adapters.lora import BASE
from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.pretrained import build
from moai.models.pretrained.places import WHEEL
from moai.models.processing import MoAIProcessor
from moai.models.released import folder_of
from moai.models.stored.reading import read_model
from perception.presets import EMBEDDED
from weights import WEIGHTS

Pair = tuple[MoAIForConditionalGeneration, MoAIProcessor]
NEW_PARTS = ("projector.", "compressor.", "mixers.", "vision.position_embedding")
"""Weights that a model which `build` made has from no one else; so has partial LoRA."""


@dataclass(frozen=True)
class Base:
    """What an adapter stands on: `name`, a folder, a hub id or `embedded:NAME`, and `built_from`, what `build` took.

    `dtype` is that of its weights, `sha256` the `digest` of those that the adapter leaves as they are, `parameters`
    their number.
    """

    name: str
    built_from: dict[str, Any] | None
    dtype: str
    sha256: str
    parameters: int

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Base":
        """As it was written beside an adapter; ValueError with one sentence for what is none."""
        base = cls(**record)
        texts = (base.name, base.dtype, base.sha256)
        if not all(isinstance(one, str) for one in texts) or not isinstance(base.built_from, (dict, type(None))):
            raise ValueError("its base has no name, dtype and sha256")
        if not isinstance(getattr(torch, base.dtype, None), torch.dtype):
            raise ValueError(f"the dtype of its base is {base.dtype!r}, which torch does not know")
        return base

    def to_dict(self) -> dict[str, Any]:
        """As it is written beside an adapter."""
        return asdict(self)


def named(place: str | Path, built_from: Mapping[str, Any] | None = None) -> str:
    """How a base is called in an adapter: without the folder of this installation, where the model came with it, and by
    its language model where it is built from packages, which are the same everywhere."""
    parts = [str((built_from or {}).get(one)) for one in ("language_model", "vision")]
    if all(one.startswith(WHEEL) for one in parts):
        return parts[0]
    folder = Path(place).expanduser()
    if not folder.is_dir():
        return str(place)
    folder = folder.resolve()
    return f"{EMBEDDED}{folder.name}" if folder.parent == WEIGHTS.resolve() else str(folder)


def read_base(name: str, config: MoAIConfig | None = None, dtype: str | torch.dtype = "auto") -> Pair:
    """Model, as its files have it or with another `config` and `dtype`, and processor of a base's name.

    Raises ValueError with one sentence.
    """
    folder = WEIGHTS / name.removeprefix(EMBEDDED) if name.startswith(EMBEDDED) else folder_of(name)
    try:
        return read_model(folder, dtype, config)
    except ValueError as error:
        raise ValueError(f"there is no MoAI model in {name}: {error}") from error


def weights_of(model: MoAIForConditionalGeneration) -> dict[str, Tensor]:
    """Parameters and saved buffers, each once, by the names that they have without LoRA."""
    seen: set[int] = set()
    weights = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen or not tensor.numel():
            weights[name.replace(BASE, ".")] = tensor
            seen.add(tensor.data_ptr())
    return weights


def is_new_part(name: str) -> bool:
    """Whether a weight of a built model is of its own, and not of the language model or the vision encoder."""
    return name.startswith(NEW_PARTS) or ".lora_" in name


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, precisions, shapes and values, whatever the order."""

    def one(name: str) -> str:
        tensor = weights[name].detach().cpu().contiguous()
        told = hashlib.sha256(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        told.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        return told.hexdigest()

    with ThreadPoolExecutor() as pool:
        return hashlib.sha256("".join(pool.map(one, sorted(weights))).encode()).hexdigest()


def found(base: Base, config: MoAIConfig, prompt_style: str, replaced: set[str]) -> Pair:
    """The base, by its name or else built anew; the weights in `replaced` are not looked at.

    config: of the model with its adapter, without LoRA. Raises ValueError with one sentence that says how to get what
    is missing, or that what is there is another model.
    """
    absent = other = None
    for place in _places(base, config, prompt_style):
        try:
            model, processor = place()
        except ValueError as error:
            absent = error
            continue
        kept = {name: tensor for name, tensor in weights_of(model).items() if name not in replaced}
        if digest(kept) == base.sha256:
            return model, processor
        other = True
    if other:
        raise ValueError(
            f"it stands on {base.name}, but what is there now is another model: the SHA-256 of its weights is not "
            f"{base.sha256[:12]}..."
        )
    raise ValueError(f"it stands on {base.name}, which cannot be had: {absent}") from absent


def _places(base: Base, config: MoAIConfig, prompt_style: str) -> Iterator[Any]:
    yield lambda: read_base(base.name, config, getattr(torch, base.dtype))
    if base.built_from is not None:
        yield lambda: _built(base, config, prompt_style)


def _built(base: Base, config: MoAIConfig, prompt_style: str) -> Pair:
    model, processor = build(
        **(base.built_from or {}),
        mixers=config.mixer_layers or (),
        rank=config.mixer_rank,
        plora_rank=config.plora_rank,
        latents=config.compressor_num_latents,
        parts=config.compressor_parts,
        prompt_style=prompt_style,
        dtype=getattr(torch, base.dtype),
        seed=None,  # all that is new comes from the adapter, and the digest tells whether the rest is right
    )
    model.config.experts_from = config.experts_from
    return model, processor
