"""From what a user calls a model to a folder that holds one; checkpoints in the authors' layout are converted once."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

from filelock import FileLock

from moai.models.hub import SMALL_FILES, HubError, cache_folder, hub, reaching
from moai.models.released.checkpoint import Checkpoint, FolderCheckpoint, HubCheckpoint, convert, is_reference
from moai.models.stored.files import check_files
from perception.files.whole import write_whole
from weights import WEIGHTS, embedded_models

FILES = (*SMALL_FILES, "*.safetensors")
NEWEST = "main"
"""The file that names the newest of the kept revisions."""


def folder_of(name: str) -> Path:
    """The folder with the model that is called `name`: a folder, an embedded model or an id of a hub.

    Files of a hub are fetched into its cache. A checkpoint in the authors' layout is converted at its first use and
    kept in `cache_folder`, where later starts find it without asking the hub. Raises ValueError with one sentence.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        check_files(folder)
        return _from_folder(folder)
    if name in embedded_models():
        return WEIGHTS / name
    if name.count("/") != 1 or name.startswith(("/", ".", "~")):
        raise HubError(
            f"it must be {', '.join(embedded_models())}, a folder that holds one, or the id of one on a hub that can "
            "be reached"
        )
    kept = cache_folder() / "converted" / name.replace("/", "--")
    if (found := _newest(kept)) is not None:
        return found
    try:
        with reaching(name):
            told = hub().model_info(name)
            sha = str(told.sha)
    except HubError as error:
        return _from_cache(name, kept, error)
    place = kept / f"{sha}.fetched"
    checkpoint = HubCheckpoint(name, sha, [one.rfilename for one in told.siblings or ()], place)
    if not is_reference(checkpoint.names):
        with reaching(name):
            # Without the revision, so that the cache knows later, offline, which one is the newest.
            return Path(hub().snapshot_download(name, allow_patterns=list(FILES)))
    made = _converted(checkpoint, name, kept, sha, place)
    shutil.rmtree(place, ignore_errors=True)
    return made


def _from_folder(folder: Path) -> Path:
    checkpoint = _read_folder(folder)
    if checkpoint is None or not is_reference(checkpoint.names):
        return folder
    digest = hashlib.sha256(checkpoint.identity.encode()).hexdigest()[:16]
    return _converted(checkpoint, str(folder), cache_folder() / "converted" / f"folder--{folder.name}", digest)


def _read_folder(folder: Path) -> FolderCheckpoint | None:
    """What a folder holds; None for one without weights, or with the weights of a MoAI model that cannot be read."""
    if not any(next(folder.glob(pattern), None) for pattern in ("*.safetensors", "*.bin")):
        return None
    try:
        return FolderCheckpoint(folder)
    except ValueError:
        try:
            record = json.loads((folder / "config.json").read_text())
        except (OSError, ValueError):
            record = {}
        if record.get("model_type") == "moai":
            return None
        raise


def _from_cache(name: str, kept: Path, away: HubError) -> Path:
    """What the hub's cache has of `name`, when the hub says no more than `away`, which is raised if it has nothing."""
    try:
        with reaching(name):
            folder = Path(hub().snapshot_download(name, local_files_only=True, allow_patterns=list(FILES)))
    except HubError:
        raise away from None
    checkpoint = _read_folder(folder)
    if checkpoint is None:
        raise away
    return _converted(checkpoint, name, kept, folder.name) if is_reference(checkpoint.names) else folder


def _newest(kept: Path) -> Path | None:
    told = kept / NEWEST
    found = kept / told.read_text() if told.is_file() else None
    return found if found is not None and found.is_dir() else None


def _converted(checkpoint: Checkpoint, name: str, kept: Path, revision: str, place: Path | None = None) -> Path:
    """The folder with what the checkpoint becomes, under `kept`. Two processes do not both make it.

    place: where files are fetched to.
    """
    target = kept / revision
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(kept / "lock"):
        if not target.is_dir():
            print(f"{name} has its authors' layout; it is converted once, into {target}", file=sys.stderr, flush=True)
            for broken in place.rglob("*.incomplete") if place is not None else ():
                broken.unlink()  # of a process that was killed; huggingface_hub begins such a file anew
            convert(checkpoint, target, checkpoint.sizes)
        write_whole(kept / NEWEST, revision)
    return target
