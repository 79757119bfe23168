"""Models that these commands read and write."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moai.terminal import quiet_libraries

if TYPE_CHECKING:
    from moai.models.adapters.base import Pair

Target = Annotated[Path, typer.Argument(metavar="TARGET", help="folder to write, new or empty")]


def check_target(target: Path) -> None:
    """Raises ValueError with one sentence for a folder that holds something."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} is there already; name a folder that is new or empty")


def stored(name: str) -> "Pair":
    """Model, in the precision that its files have, and processor; an adapter is merged, in fp32."""
    quiet_libraries()
    import torch
    from transformers import AutoConfig

    from moai.loading import load_model
    from moai.models.adapters.folder import is_adapter
    from moai.models.released import folder_of

    dtype = torch.float32
    try:
        folder = folder_of(name)
        if not is_adapter(folder):
            dtype = AutoConfig.from_pretrained(folder, trust_remote_code=False).dtype or dtype
    except (OSError, ValueError):
        pass  # `load_model` says what is wrong
    return load_model(name, dtype)


def millions(model) -> str:
    """How many parameters a model has, in words."""
    return f"{sum(one.numel() for one in model.parameters()) / 1e6:,.1f} M parameters"
