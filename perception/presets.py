"""Presets: which backends and weights run the experts, as YAML files or mappings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from perception import registry
from weights import WEIGHTS

DEFAULT = "drawn"
EMBEDDED = "embedded:"
"""Weights that begin so are a folder of the package `weights`."""
TRUST = "trust_pickle"
"""The option of backends whose weights may hold code."""
_HERE = Path(__file__).parent
# In an installed package, then in a checkout.
_FOLDERS = (_HERE / "configs", _HERE.parent / "configs" / "experts")
_KEYS = ("backend", "weights", "options")


@dataclass(frozen=True)
class Entry:
    """How one expert is built: by a backend of the registry from `weights` (None: it has its own) with `options`.

    `backend` None: by the kind itself."""

    backend: str | None
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """Experts by kind. A kind that is left out is not there."""

    name: str
    entries: Mapping[str, Entry]


def preset_names() -> tuple[str, ...]:
    """The presets that come along."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def _folder() -> Path:
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[-1])


def preset_experts(name: str) -> tuple[str, ...]:
    """Full names of a preset's experts in their fixed order; the usual ones for a preset that is not here."""
    return tuple(load_preset(name).entries) if name in preset_names() else registry.expert_names()


def load_preset(source: str | Path | Mapping, embedded: str | Path = WEIGHTS) -> Preset:
    """The preset of this name, in this YAML file, or of this mapping.

    It maps kinds of experts (full or short names) to BACKEND, to BACKEND:WEIGHTS, or to a mapping with `backend`,
    `weights` and `options`; `off` leaves a kind out. Weights: `embedded:NAME` is a folder in `embedded`; what begins
    with ./ or ../, in options too, starts at the file's folder; the rest is for the backend to understand. Raises
    ValueError with one sentence for anything else.
    """
    if isinstance(source, Mapping):
        return _preset("given as a mapping", source, None, embedded)
    path = Path(source).expanduser()
    if str(source) in preset_names():
        path = _folder() / f"{source}.yaml"
    elif path.suffix not in (".yaml", ".yml"):
        raise ValueError(
            f"unknown preset of experts {str(source)!r}; allowed are {', '.join(preset_names())} and the path of a "
            "YAML file (.yaml)"
        )
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"the preset of experts {path} cannot be read ({error.strerror or 'input error'}); allowed are "
            f"{', '.join(preset_names())} and the path of a YAML file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ValueError(f"the preset of experts {path} is not valid YAML{where}") from error
    return _preset(path.stem if path.parent == _folder() else str(path), record, path.parent, embedded)


def _preset(name: str, record: Any, folder: Path | None, embedded: str | Path) -> Preset:
    said = f"the preset of experts {name}"
    if not isinstance(record, Mapping):
        raise ValueError(f"{said} must map kinds of experts ({', '.join(registry.expert_names())}) to backends")
    entries = {one.name: Entry(None) for one in registry.kinds() if one.build is not None}
    try:
        for key, value in record.items():
            names = registry.expert_names([key])
            if not names:
                raise ValueError("a kind of experts has an empty name")
            if value is None or value is False:
                entries.pop(names[0], None)
            else:
                entries[names[0]] = entry_of(names[0], value, folder, embedded)
    except ValueError as error:
        raise ValueError(f"{said}: {error}") from error
    return Preset(name, {one.name: entries[one.name] for one in registry.kinds() if one.name in entries})


def entry_of(kind: str, value: Any, folder: Path | None = None, embedded: str | Path = WEIGHTS) -> Entry:
    """An expert of a kind as a preset gives it, checked; `folder` is where its relative weights start."""
    allowed = ", ".join(one.name for one in registry.backends_of(kind)) or "none"
    record = _in_keys(value) if isinstance(value, str) else value
    if not isinstance(record, Mapping):
        raise ValueError(f"{kind} must be a backend's name ({allowed}) or a mapping with {', '.join(_KEYS)}")
    for key in record:
        if key not in _KEYS:
            raise ValueError(f"{kind} has an unknown key {key!r}; allowed are {', '.join(_KEYS)}")
    backend = next((one for one in registry.backends_of(kind) if one.name == record.get("backend")), None)
    if backend is None:
        spoken = registry.kind(kind).spoken.removeprefix("the ")
        raise ValueError(f"unknown {spoken} backend {record.get('backend')!r}; allowed are {allowed}")
    options = record.get("options") or {}
    if not isinstance(options, Mapping):
        raise ValueError(f"the options of {kind} must map names to values")
    for name, option in options.items():
        if name not in backend.options:
            known = ", ".join(backend.options) or "none"
            raise ValueError(f"{backend.name} has no option {name!r}; allowed are {known}")
        backend.options[name].check(name, option)
    weights = _weights(kind, backend, record.get("weights"), folder, embedded)
    return Entry(backend.name, weights, {name: _placed(one, folder) for name, one in options.items()})


def trusted(entry: Entry) -> Entry:
    """The same, whose weights may run the code that they hold, where its backend would refuse that."""
    if entry.backend is None or TRUST not in registry.backend(entry.backend).options:
        return entry
    return replace(entry, options={**entry.options, TRUST: True})


def _in_keys(text: str) -> dict[str, str]:
    backend, colon, weights = text.partition(":")
    return {"backend": backend, "weights": weights} if colon else {"backend": backend}


def names_backend(kind: str, text: str) -> bool:
    """Whether a text is the name of a backend of a kind, alone or as BACKEND:WEIGHTS."""
    return any(_in_keys(text)["backend"] == one.name for one in registry.backends_of(kind))


def swaps_of(texts: Iterable[str]) -> dict[str, str]:
    """What replaces single experts, by kind, from texts KIND=BACKEND or KIND=BACKEND:WEIGHTS, as commands take them.

    Raises ValueError with one sentence for other texts and unknown names.
    """
    swaps = {}
    for text in texts:
        name, sign, given = (part.strip() for part in text.partition("="))
        kinds = registry.expert_names([name])
        if not sign or not given or not kinds:
            raise ValueError(f"{text!r} replaces no expert; write KIND=BACKEND or KIND=BACKEND:WEIGHTS")
        entry_of(kinds[0], given)
        swaps[kinds[0]] = given
    return swaps


def _weights(kind: str, backend, weights: Any, folder: Path | None, embedded: str | Path) -> str | None:
    if backend.weights is None:
        if weights is not None:
            raise ValueError(f"{backend.name} brings its own weights; leave the weights of {kind} out")
        return None
    if not isinstance(weights, (str, Path)) or not str(weights):
        raise ValueError(f"{backend.name} needs weights for {kind}: {backend.weights}")
    text = str(weights)
    if text.startswith(EMBEDDED):
        return str(Path(embedded) / text.removeprefix(EMBEDDED))
    return _placed(text, folder)


def _placed(value: Any, folder: Path | None) -> Any:
    """A value, or the values of a list; what begins with ./ or ../ starts at the folder."""
    if isinstance(value, list):
        return [_placed(one, folder) for one in value]
    if folder is not None and isinstance(value, str) and value.startswith(("./", "../")):
        return str(folder / value)
    return value
