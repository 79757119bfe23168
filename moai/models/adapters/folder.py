"""An adapter in a folder: the weights that training changed or added, and the name and hash of the model under them."""

import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file
from torch import Tensor

from moai.models.adapters.base import Base, Pair, digest, found, is_new_part, named, weights_of
from moai.models.adapters.lora import BASE, inject_lora
from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.stored.explained import explained
from moai.models.stored.files import INDEX, check_files, read_settings, shapes, weight_files
from moai.models.stored.settings import check_settings
from moai.models.stored.sizes import check_finite, laid_out
from perception.files.whole import whole_file, write_json

RECORD = "moai_adapter.json"
WEIGHTS, PARTS = "adapter.safetensors", "adapter{suffix}.safetensors"
SHARD = "5GB"
"""Of the weights, one file holds so much at most."""
DECODER = "language_model."
LORA = re.compile(r"\.lora_[AB]\.[^.]+\.weight$")
"""In the names of LoRA's weights, which those of partial LoRA are not like."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / RECORD).is_file()


def changes(
    trained: dict[str, Tensor], base: dict[str, Tensor], built: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What of `trained` (fp32) is not in `base`, and what of it is, but rounded to bf16, as training may hold the rest.

    Of a model that was `built` its own parts have changed in any case.
    """
    changed: dict[str, Tensor] = {}
    rounded: dict[str, Tensor] = {}
    for name, tensor in trained.items():
        theirs = base.get(name)
        if theirs is None or theirs.shape != tensor.shape or (built and is_new_part(name)):
            changed[name] = tensor
        elif not torch.equal(tensor, theirs.to(tensor.dtype)):
            held = theirs.is_floating_point() and torch.equal(tensor, theirs.bfloat16().to(tensor.dtype))
            (rounded if held else changed)[name] = tensor
    return changed, rounded


def _compact(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """In `dtype`, or in bf16 where that loses nothing; as it is where `dtype` cannot hold it."""
    small = tensor.to(dtype or torch.bfloat16) if tensor.dtype == torch.float32 else tensor
    held = small.isfinite().all() if dtype else torch.equal(small.to(tensor.dtype), tensor)
    return (small if held else tensor).contiguous()


def save_adapter(
    trained: Pair, base: Pair, place: str | Path, folder: Path, dtype: torch.dtype | None = None, shard: str = SHARD
) -> Base:
    """Writes what `trained` (fp32) has beyond `base`, the model in `place`, to `folder`; returns what it says of that.

    dtype: in which it is written, None for one that loses nothing. shard: size of a file at most, such as "15MB".
    Raises ValueError with one sentence when nothing differs, or when the base is no model that `trained` came from.
    """
    model, processor = trained
    ours, theirs = weights_of(model), weights_of(base[0])
    lost = sorted(theirs.keys() - ours.keys())
    if lost:
        raise ValueError(f"{place} is not what was trained: its {lost[0]} is not in the trained model")
    built_from = base[0].config.built_from
    changed, rounded = changes(ours, theirs, built_from is not None)
    if not changed:
        raise ValueError(f"nothing differs from {place}; name the model that training started from")
    kept = {name: tensor for name, tensor in theirs.items() if name not in changed}
    told = Base(
        named(place, built_from),
        built_from,
        str(base[0].dtype).removeprefix("torch."),
        digest(kept),
        sum(tensor.numel() for tensor in kept.values()),
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write({name: _compact(tensor, dtype) for name, tensor in changed.items()}, folder, shard)
    record = {
        "base": told.to_dict(),
        "bf16": sorted(rounded),
        "prompt_style": processor.prompt_style,
        "config": model.config.to_dict(),
    }
    write_json(folder / RECORD, record)
    return told


def _write(tensors: dict[str, Tensor], folder: Path, shard: str) -> None:
    """The weights in one file or, where they are larger than a shard, in several with their index."""
    parts = split_torch_state_dict_into_shards(tensors, filename_pattern=PARTS, max_shard_size=shard)
    for file, names in parts.filename_to_tensors.items():
        with whole_file(folder / file) as beside:
            save_file({name: tensors[name] for name in names}, beside)
    index = folder / f"{WEIGHTS}{INDEX}"
    index.unlink(missing_ok=True)
    if parts.is_sharded:
        write_json(index, {"metadata": parts.metadata, "weight_map": parts.tensor_to_filename})
    for old in folder.glob("adapter*.safetensors"):
        if old.name not in parts.filename_to_tensors:
            old.unlink()


def load_adapter(folder: Path, dtype: torch.dtype) -> Pair:
    """The model of an adapter on its base, in `dtype`, with LoRA beside the weights where it has some.

    Raises ValueError with one sentence for a broken folder and for a base that is not here, or another one.
    """
    (model, processor), record, weights = _under(folder)
    _cast(model, dtype, record["bf16"])
    model.config.lora = record["config"]["lora"]
    if model.config.lora:
        inject_lora(model)
    _put_on(model, weights)
    if any(name.startswith(DECODER) for name in weights):
        model.taught_from = (record["base"]["built_from"] or {}).get("language_model")
    return model.eval(), processor


def base_of(folder: Path) -> tuple[str, Pair]:
    """What an adapter goes on: its name, and the model without the adapter. Raises ValueError as `load_adapter`."""
    pair, record, _ = _under(folder)
    return record["base"]["name"], pair


def _under(folder: Path) -> tuple[Pair, dict[str, Any], dict[str, Tensor]]:
    """An adapter's base, its record and its weights."""
    try:
        check_files(folder)
        record: dict[str, Any] = read_settings(folder / RECORD)
        files = weight_files(folder, WEIGHTS)
        stored = shapes(files)
        with explained(f"its {RECORD} cannot be used"):
            check_settings(record["config"])
            base, config = Base.of(record["base"]), MoAIConfig.from_dict(record["config"])
            prompt_style, rounded = record["prompt_style"], set(record["bf16"])
            lora, config.lora = config.lora, None
            _check_shapes(stored, config, base.built_from is not None)
        weights = {name: tensor for file in files for name, tensor in load_file(file).items()}
        check_finite(weights.items())
    except ValueError as error:
        raise ValueError(f"the adapter in {folder} is broken or incomplete: {error}") from error
    record = {"bf16": rounded, "base": record["base"], "config": {"lora": lora}}
    return found(base, config, prompt_style, set(weights)), record, weights


def _check_shapes(stored: dict[str, tuple[int, ...]], config: MoAIConfig, built: bool) -> None:
    """Raises ValueError unless an adapter's tensors are of the shapes that its configuration asks for, and of a model
    that was `built` all its own parts are among them."""
    model = laid_out(lambda: MoAIForConditionalGeneration(config), len(stored))
    asked = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name, shape in asked.items():
        if stored.get(name, shape) != shape:
            raise ValueError(f"{name} is {stored[name]}, and its configuration asks for {shape}")
        if built and is_new_part(name) and name not in stored:
            raise ValueError(f"{name} is missing")


@torch.no_grad()
def _cast(model: MoAIForConditionalGeneration, dtype: torch.dtype, rounded: set[str]) -> None:
    """What is saved of a model in `dtype`, `rounded` to bf16 before that.

    What is computed, such as rotary frequencies, keeps its precision.
    """
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            tensor.data = (tensor.data.bfloat16() if name in rounded else tensor.data).to(dtype)
    model.config.dtype = dtype


def _put_on(model: MoAIForConditionalGeneration, weights: dict[str, Tensor]) -> None:
    places = {name.replace(BASE, "."): name for name in model.state_dict()}
    unknown = sorted(weights.keys() - places.keys())
    if unknown:
        raise ValueError(f"the adapter holds {unknown[0]}, which the model under it does not have")
    branches = {name for name in places if LORA.search(name)}
    if lost := sorted(branches - weights.keys()):
        raise ValueError(f"the adapter lacks {lost[0]}")
    model.load_state_dict({places[name]: tensor for name, tensor in weights.items()}, strict=False)
