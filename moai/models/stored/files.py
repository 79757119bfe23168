"""The files of a model's folder, looked at before anything reads them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

SUFFIXES = (".json", ".jinja", ".txt", ".model", ".safetensors", ".bin", ".pt", ".pth", ".gguf")
"""Of what is read in a folder."""
LARGEST = 64 * 2**20
"""Bytes of the largest file that is not weights; the longest lists of words take half of that."""
_LARGE = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
INDEX = ".index.json"
"""How the name of a list of files of weights ends."""


def check_files(folder: Path) -> None:
    """Raises ValueError with one sentence for a folder with devices, pipes or links to nowhere among its files, with
    settings larger than `LARGEST`, or with a list of files of weights that names others than those in the folder."""
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix not in SUFFIXES or path.is_dir():
                continue
            if not path.is_file():
                raise ValueError(f"its {path.name} is no file, but a device, a pipe or a link to nowhere")
            if path.suffix not in _LARGE and (size := path.stat().st_size) > LARGEST:
                raise ValueError(f"its {path.name} has {size / 2**20:.0f} MiB; allowed are {LARGEST // 2**20}")
            if path.name.endswith(INDEX):
                weight_map(path)
    except OSError as error:
        raise ValueError(f"it cannot be looked through ({error.strerror or type(error).__name__})") from error


def read_settings(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ValueError with one sentence for anything else."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"its {path.name} is missing or cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {path.name} is not valid JSON") from error
    if not isinstance(told, dict):
        raise ValueError(f"its {path.name} holds no JSON object, but {type(told).__name__}")
    return told


def weight_map(index: Path) -> dict[str, str]:
    """File names by the names of their tensors, as an index tells them; ValueError unless all lie beside it."""
    told = read_settings(index).get("weight_map")
    if not isinstance(told, dict) or not told or not all(isinstance(file, str) for file in told.values()):
        raise ValueError(f"its {index.name} has no weight_map of names and files")
    for file in sorted(set(told.values())):
        if Path(file).name != file or "\\" in file or file in ("", ".", ".."):
            raise ValueError(f"its {index.name} names {file!r}; allowed are files of the same folder")
        if not (index.parent / file).is_file():
            raise ValueError(f"its {index.name} names {file}, which is missing")
    return told


def weight_files(folder: Path, name: str = "model.safetensors") -> list[Path]:
    """The file of this name or, where there are several, those that its index lists; ValueError with one sentence where
    there is neither."""
    if (folder / name).is_file():
        return [folder / name]
    index = folder / f"{name}{INDEX}"
    if not index.is_file():
        raise ValueError(f"it holds no weights: neither {name} nor {index.name}")
    return [folder / file for file in sorted(set(weight_map(index).values()))]


def shapes(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors by name, from the headers alone; ValueError with one sentence for a broken file."""
    found: dict[str, tuple[int, ...]] = {}
    for file in files:
        try:
            with safe_open(file, "pt") as opened:
                found |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(f"its {file.name} is broken or incomplete, and cannot be read as weights") from error
    return found
