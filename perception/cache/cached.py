"""A Perception that keeps what it saw in a folder."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from perception.cache.identity import experts_digest, experts_record
from perception.files.whole import write_whole
from perception.images import pixels_of
from perception.perception import Perception
from perception.scene import Scene

RECORD = "experts.json"
"""In the folder of each set of experts: who they are."""


class CachedPerception:
    """Scenes from a folder; what is missing there is looked at by `perception` and kept.

    `folder/EXPERTS/ab/abcd....json.z` is the scene of the picture with that digest (of its pixels), without loss, as
    compressed JSON; EXPERTS stands for the backends, options and weights of all experts of `perception`
    (`perception.cache.identity`). Files are written beside their place and then moved to it, so that processes can
    share a folder and a kill leaves no half of one; a damaged file counts as missing. A scene in which an expert
    failed is given, but not kept.

    Raises ValueError for experts that were given as objects, and with `filled`, where the folder holds what other
    experts saw and nothing of these.
    """

    def __init__(self, perception: Perception, folder: str | Path, filled: bool = False) -> None:
        self.perception = perception
        self.experts = perception.experts
        record = experts_record({name: perception.entries[name] for name in self.experts})
        root = Path(folder).expanduser()
        name = Path(perception.experts_from).stem.replace(" ", "_")
        self.folder = root / f"{name}-{experts_digest(record)}"
        others = sorted(path.parent.name for path in root.glob(f"*/{RECORD}")) if root.is_dir() else []
        if filled and others and self.folder.name not in others:
            raise ValueError(
                f"the cache {root} holds what other experts saw ({', '.join(others)}), not {self.folder.name}; fill it "
                f"with `moai perceive --all ... --experts-from {perception.experts_from} --cache {root}`, name the "
                "experts that it was made with, or another folder"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"the cache {root} cannot be written ({error.strerror or 'no folder'})") from error
        if not (self.folder / RECORD).is_file():
            self._put(self.folder / RECORD, json.dumps(record, indent=1).encode())

    def __call__(self, picture) -> Scene:
        """The scene of one picture, as `Perception` takes it; raises ImageError for a bad one."""
        return self.batch([picture])[0]

    def batch(self, pictures: Sequence) -> list[Scene]:
        """The scenes of several pictures; those that are missing are looked at together."""
        loaded = [pixels_of(picture) for picture in pictures]
        scenes = {pixels.digest: scene for pixels in loaded if (scene := self.kept(pixels.digest)) is not None}
        missing = {pixels.digest: pixels for pixels in loaded if pixels.digest not in scenes}
        looked = self.perception.batch(list(missing.values())) if missing else []
        for digest, scene in zip(missing, looked, strict=True):
            scenes[digest] = scene
            if not scene.warnings:
                self.keep(digest, scene)
        return [scenes[pixels.digest] for pixels in loaded]

    def kept(self, digest: str) -> Scene | None:
        """The kept scene of a picture, or None."""
        try:
            return Scene.from_dict(json.loads(zlib.decompress(self.path(digest).read_bytes())))
        except (OSError, ValueError, zlib.error):
            return None

    def keep(self, digest: str, scene: Scene) -> None:
        """Keeps the scene of a picture; raises OSError where it cannot be written."""
        self._put(self.path(digest), zlib.compress(scene.to_bytes()))

    def path(self, digest: str) -> Path:
        """Where the scene of a picture is kept."""
        return self.folder / digest[:2] / f"{digest}.json.z"

    def _put(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        write_whole(path, data)
