"""Packs a folder of photographs for a training machine: small pictures, and what experts saw in them, in a few files.

    python -m moai.data.photographs.pack FOLDER TARGET --side 288 --cache SCENES --experts-from photo

TARGET/parts-000.zip and so on, each a folder of photographs of its own, which `read_photographs` reads in place.
"""

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from moai.data.photographs.annotations import ANNOTATIONS, raw_records, read_photographs
from moai.data.photographs.photograph import Photograph
from moai.data.skipped import Skipped
from perception.cache import CachedPerception
from perception.images import ImageError, Pixels, pixels_of
from perception.perception import Perception
from perception.presets import DEFAULT
from perception.scene import Scene

QUALITY = 75
"""Of WebP, 0 to 100: a third of the bytes of a good JPEG, and nothing that patches of 32 pixels would show."""
Look = Callable[[Photograph, Pixels], Scene]


@dataclass(frozen=True)
class Packed:
    """A picture, squashed to a square as WebP, and its record with the scene."""

    name: str
    data: bytes
    record: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes that it takes, about: its record is compressed."""
        return len(self.data) + len(json.dumps(self.record)) // 4


def pack(folder: Path, target: Path, look: Look | None, side: int, limit: int, skipped: Skipped) -> int:
    """Writes the parts of TARGET, each of at most `limit` bytes or a little more, and returns how many there are.

    Pictures become `side` x `side` or smaller; boxes keep their numbers, `width` and `height` those of the original.
    `look` gives the scene of an original, None for none. What cannot be used, or was seen without an expert that
    failed, goes into `skipped`. Raises ValueError as `read_photographs`, and for a TARGET that holds parts already.
    """
    if any(target.glob("parts-*")):
        raise ValueError(f"{target} holds parts already; remove them, or name another folder")
    target.mkdir(parents=True, exist_ok=True)
    number, lot, size = 0, list[Packed](), 0
    for one in _packed(folder, look, side, skipped):
        if lot and size + one.size > limit:
            _write(target / f"parts-{number:03}.zip", lot)
            number, lot, size = number + 1, [], 0
        lot.append(one)
        size += one.size
    if lot:
        _write(target / f"parts-{number:03}.zip", lot)
    return number + bool(lot)


def _packed(folder: Path, look: Look | None, side: int, skipped: Skipped) -> Iterator[Packed]:
    records = {
        record["file"]: record for record in raw_records(folder) if isinstance(record, dict) and "file" in record
    }
    for photograph in read_photographs(folder, skipped):
        name = photograph.path.relative_to(folder).as_posix()
        try:
            pixels = pixels_of(photograph.read())
        except ImageError as error:
            skipped.note(name, str(error))
            continue
        record = records[name] | {"file": str(Path(name).with_suffix(".webp"))}
        if look is not None:
            scene = look(photograph, pixels)
            record["scene"] = scene.to_dict(exact=True)
            if scene.warnings:
                skipped.note(name, f"packed, but {'; '.join(scene.warnings)}")
        yield Packed(record["file"], squashed(pixels, side), record)


def squashed(pixels: np.ndarray, side: int) -> bytes:
    """A picture (H, W, 3) uint8 as WebP, its sides `side` pixels, or as they are where they are shorter."""
    size = min(pixels.shape[1], side), min(pixels.shape[0], side)
    file = io.BytesIO()
    resized = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    resized.save(file, "WEBP", quality=QUALITY)
    return file.getvalue()


def _looking(cache: Path, experts_from: str, squashed_from: str) -> Look:
    """Scenes of the cache; what is missing there is looked at and kept."""
    whole, squashed = (
        CachedPerception(Perception(experts_from=name, device="cpu", cache_size=0), cache, filled=True)
        for name in (experts_from, squashed_from)
    )
    return lambda photograph, pixels: (squashed if photograph.squashed else whole)(pixels)


def _write(path: Path, lot: list[Packed]) -> None:
    """One part, under its name only once it is whole."""
    beside = path.with_suffix(".part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        for one in lot:
            archive.writestr(one.name, one.data)
        text = json.dumps({"pictures": [one.record for one in lot]}, ensure_ascii=False)
        archive.writestr(ANNOTATIONS, text, zipfile.ZIP_DEFLATED)
    beside.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Packs a folder as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m moai.data.photographs.pack", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="photographs, with annotations.json")
    parser.add_argument("target", type=Path, help="where the parts are written")
    parser.add_argument("--side", type=int, default=288, help="pixels of the square pictures (default: 288)")
    parser.add_argument("--cache", type=Path, help="folder that keeps what experts saw; without, no scenes are packed")
    parser.add_argument("--experts-from", default=DEFAULT, help=f"preset of the experts (default: {DEFAULT})")
    parser.add_argument(
        "--squashed-from", help="preset of those that looked at squashed pictures, such as one without OCR (YAML)"
    )
    parser.add_argument("--part", type=float, default=56, help="size of a part in MiB (default: 56)")
    given = parser.parse_args(arguments)
    skipped = Skipped("photographs skipped, or packed without an expert")
    try:
        if given.side < 1 or given.part <= 0:
            raise ValueError("--side and --part must be positive")
        look = None
        if given.cache is not None:
            look = _looking(given.cache, given.experts_from, given.squashed_from or given.experts_from)
        parts = pack(given.folder.expanduser(), given.target, look, given.side, int(given.part * 2**20), skipped)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{parts} parts in {given.target}")
    if told := skipped.sentence():
        print(told, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
