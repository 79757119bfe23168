"""A checkpoint in the authors' layout, from a folder or a hub, converted with one of its files in memory at a time."""

import json
import pickle
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from moai.models.configuration import MoAIConfig
from moai.models.hub import SMALL_FILES, HubError, hub, reaching
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.models.released.convert import (
    PRESET,
    config_from_sizes,
    converted,
    dequantize,
    packed_names,
    planned,
    unused_norms,
)
from moai.models.released.tokenizer import read_tokenizer

EMBEDDINGS = "model.tok_embeddings.weight"
MARK = "moai_compressor.latents"
"""A tensor that the authors' checkpoints have and others do not."""
SIZES = {"clip", "compressor", "mixer"}
SOURCE = "source.json"


class Checkpoint(ABC):
    """Files of weights with their names, and a folder with the tokenizer.

    `shards` has the names of the tensors by the file that holds them, `identity` tells one checkpoint from another.
    """

    folder: Path
    shards: dict[str, list[str]]
    identity: str

    @abstractmethod
    def opened(self, shard: str):
        """Context manager of the path where this file lies; what was fetched for it is gone afterwards."""

    @property
    def names(self) -> set[str]:
        """All tensors."""
        return {name for names in self.shards.values() for name in names}

    @property
    def sizes(self) -> dict | None:
        """The sizes that its config.json spells out as the parity fixtures do; None means MoAI-7B's."""
        try:
            record = json.loads((self.folder / "config.json").read_text())
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) and record.keys() >= SIZES else None


class FolderCheckpoint(Checkpoint):
    """The *.safetensors, else *.bin, of a folder. Raises ValueError with one sentence where one cannot be read."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ValueError(f"there is no folder {str(folder)!r}")
        files = sorted(self.folder.glob("*.safetensors")) or sorted(self.folder.glob("*.bin"))
        if not files:
            raise ValueError(f"{folder} holds no weights: neither *.safetensors nor *.bin")
        self.shards = {file.name: names_in(file) for file in files}
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        self.identity = json.dumps([str(self.folder.resolve()), stats])

    @contextmanager
    def opened(self, shard: str) -> Iterator[Path]:
        """See `Checkpoint`."""
        yield self.folder / shard


class HubCheckpoint(Checkpoint):
    """What the hub has under an id, of a revision `sha` with `files`; shards are fetched into `place`, one by one."""

    def __init__(self, name: str, sha: str, files: list[str], place: Path):
        self.name, self.sha, self.place = name, sha, place
        self.identity = f"{name}@{sha}"
        small = [file for file in files if "/" not in file and any(Path(file).match(one) for one in SMALL_FILES)]
        with reaching(name):
            fetched = [Path(hub().hf_hub_download(name, file, revision=sha)) for file in small]
        self.folder = fetched[0].parent if fetched else place
        self.shards = self._indexed(files)

    def _indexed(self, files: list[str]) -> dict[str, list[str]]:
        for kind in ("safetensors", "bin"):
            weights = sorted(file for file in files if "/" not in file and file.endswith(f".{kind}"))
            indices = [file for file in files if "/" not in file and file.endswith(f".{kind}.index.json")]
            if indices:
                found = json.loads((self.folder / indices[0]).read_text())["weight_map"]
                return {file: [name for name in found if found[name] == file] for file in sorted(set(found.values()))}
            if len(weights) == 1 and kind == "safetensors":
                with reaching(self.name):
                    told = hub().parse_safetensors_file_metadata(self.name, weights[0], revision=self.sha)
                return {weights[0]: list(told.tensors)}
        return {}

    @contextmanager
    def opened(self, shard: str) -> Iterator[Path]:
        """See `Checkpoint`. Raises HubError with one sentence when the file cannot be had."""
        kept = self.folder / shard
        if kept.is_file():
            yield kept
            return
        with reaching(self.name):
            path = Path(hub().hf_hub_download(self.name, shard, revision=self.sha, local_dir=self.place))
        yield path
        path.unlink()


def names_in(file: Path) -> list[str]:
    """The tensors that a file of weights holds; ValueError with one sentence when it cannot be read as one."""
    if file.suffix != ".safetensors":
        return list(read(file))
    try:
        with safe_open(file, "pt") as opened:
            return list(opened.keys())
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} cannot be read as a file of weights") from error


def read(file: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights, left on the disk until they are used; ValueError as `names_in`."""
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  no dictionary
        try:
            held = torch.load(file, "cpu", weights_only=True, mmap=True)
        except RuntimeError:
            held = torch.load(file, "cpu", weights_only=True)  # written by an old torch
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"{file} cannot be read as a file of weights") from error
    if not isinstance(held, dict) or not all(isinstance(value, Tensor) for value in held.values()):
        raise ValueError(f"{file} is not a plain table of tensors")
    return held


def is_reference(names: set[str]) -> bool:
    """Whether tensors of these names are of a checkpoint in the authors' layout."""
    return MARK in names and any(".Plora_main." in name for name in names)


def convert(checkpoint: Checkpoint, target: Path, sizes: dict | None = None) -> None:
    """Write a checkpoint in the authors' layout to the folder `target` in this one, with its processor.

    sizes: as for `from_reference`; None means MoAI-7B's. The weights keep the checkpoint's precision. Files that are
    done wait beside `target` in a folder that takes its name at the end; who is interrupted goes on behind them.
    Raises ValueError with one sentence when something is missing, unreadable or of another layout, HubError when the
    hub fails, and ImportError for 4-bit weights without bitsandbytes.
    """
    try:
        config = MoAIConfig.moai_7b(experts_from=PRESET) if sizes is None else config_from_sizes(sizes)
    except KeyError as error:
        raise ValueError(f"the sizes lack {error}; they need the keys of tests/fixtures/config.json") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"the sizes cannot be used: {error}") from error
    tokenizer = read_tokenizer(checkpoint.folder, config)
    with torch.device("meta"):
        model = MoAIForConditionalGeneration(config)
    packed = packed_names(checkpoint.names)
    statistics = {name for name in checkpoint.names if any(name.startswith(f"{one}.") for one in packed)}
    plan = planned(checkpoint.names - statistics, model.state_dict())
    partial = target.with_name(f"{target.name}.partial")
    try:
        _write_shards(checkpoint, partial, model, plan, packed)
    except HubError:
        raise
    except (ValueError, ImportError):
        shutil.rmtree(partial, ignore_errors=True)
        raise
    model.generation_config.save_pretrained(partial)
    config.save_pretrained(partial)
    MoAIProcessor(
        tokenizer,
        image_size=config.vision_config.image_size,
        num_image_tokens=config.num_image_tokens,
        prompt_style="reference_demo",
        legacy_color_map=config.legacy_color_map,
    ).save_pretrained(partial)
    (partial / SOURCE).unlink()
    _move(partial, target)


def _write_shards(
    checkpoint: Checkpoint,
    partial: Path,
    model: MoAIForConditionalGeneration,
    plan: dict[str, tuple[str, ...]],
    packed: set[str],
) -> None:
    """One file of the result for each of the checkpoint, and the index when there are several."""
    shards = sorted(checkpoint.shards, key=lambda shard: (EMBEDDINGS not in checkpoint.shards[shard], shard))
    single = len(shards) == 1
    outputs = ["model.safetensors" if single else f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
               for i in range(len(shards))]  # fmt: skip
    begun = _resumed(checkpoint, partial, shards, outputs, packed)
    wanted = model.state_dict()
    waiting: dict[str, Tensor] = {}  # parts of 4-bit weights of which others are in later files
    dtype = None
    weight_map: dict[str, str] = {}
    for number, (shard, output) in enumerate(zip(shards, outputs, strict=True)):
        if number >= begun:
            with checkpoint.opened(shard) as path:
                held = waiting | read(path)
                waiting = _unfinished(held, packed, checkpoint.names)
                held = dequantize({name: value for name, value in held.items() if name not in waiting})
                if dtype is None:
                    dtype = _precision(held.get(EMBEDDINGS))
                # Into one precision, which is for the most part that of the file and costs nothing.
                done = {name: value.to(dtype) for name, value in converted(held, plan, wanted, model.config)}
                if output == outputs[-1]:
                    done |= {n: v.to(dtype) for n, v in unused_norms({*weight_map, *done}, wanted).items()}
                save_file(done, partial / f"{output}.part", metadata={"format": "pt"})
                (partial / f"{output}.part").replace(partial / output)
                del held, done
        with safe_open(partial / output, "pt") as written:
            names = list(written.keys())
            if number == 0:
                dtype = written.get_tensor(names[0]).dtype
        weight_map |= dict.fromkeys(names, output)
    model.config.dtype = dtype
    model.config.architectures = [type(model).__name__]
    if not single:
        size = sum((partial / output).stat().st_size for output in outputs)
        index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(weight_map.items()))}
        (partial / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def _precision(embeddings: Tensor | None) -> torch.dtype:
    return torch.float16 if embeddings is None or not embeddings.is_floating_point() else embeddings.dtype


def _unfinished(held: dict[str, Tensor], packed: set[str], everything: set[str]) -> dict[str, Tensor]:
    """What is held of 4-bit weights that are not yet complete."""
    waiting: dict[str, Tensor] = {}
    for one in packed:
        parts = {name for name in everything if name == one or name.startswith(f"{one}.")}
        if not parts <= held.keys():
            waiting |= {name: held[name] for name in parts & held.keys()}
    return waiting


def _resumed(checkpoint: Checkpoint, partial: Path, shards: list[str], outputs: list[str], packed: set[str]) -> int:
    """How many files of the result are there already, in a folder that is made or cleaned where they are of another."""
    record = json.dumps({"identity": checkpoint.identity, "shards": shards})
    told = partial / SOURCE
    if not told.is_file() or told.read_text() != record:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        told.write_text(record)
    done = next((i for i, output in enumerate(outputs) if not (partial / output).is_file()), len(outputs))
    while done:
        before = {name for shard in shards[:done] for name in checkpoint.shards[shard]}
        parts = [{name for name in checkpoint.names if name.startswith(one)} for one in packed]
        if all(one <= before or not one & before for one in parts):
            return done
        done -= 1  # it left something over for the next one
    return 0


def _move(partial: Path, target: Path) -> None:
    """Give the finished folder its name; one that is there already takes over its files."""
    if not target.exists():
        partial.rename(target)
        return
    for old in target.glob("model*.safetensors*"):
        old.unlink()
    for file in sorted(partial.iterdir(), key=lambda file: file.name == "config.json"):
        file.replace(target / file.name)
    partial.rmdir()


def convert_folder(source: Path, target: Path, sizes: dict | None = None) -> None:
    """Write the checkpoint in the authors' layout that `source` holds, with its tokenizer, to `target` in this one.

    source: folder of *.safetensors, else *.bin shards, and a tokenizer. Otherwise as `convert`;
    `MoAI.from_pretrained(target)` reads the result.
    """
    checkpoint = FolderCheckpoint(source)
    convert(checkpoint, Path(target), checkpoint.sizes if sizes is None else sizes)
