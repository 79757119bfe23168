"""What training adds to a model, and what it changes of one, written apart from it."""

from pathlib import Path

import torch
import yaml

from moai.models.adapters.base import Base, read_base
from moai.models.adapters.folder import SHARD, base_of, is_adapter, save_adapter
from moai.models.adapters.lora import add_lora, merge_lora
from moai.training.experiment import RESOLVED
from moai.training.trainer import RECORD

__all__ = ["add_lora", "export_adapters", "merge_lora"]


def export_adapters(
    trained: Path, folder: Path, base: str | None = None, dtype: torch.dtype | None = None, shard: str = SHARD
) -> Base:
    """Writes what the training that ended in `trained` changed into `folder`, and which model that goes on.

    base: that model, a folder or hub id; None means where the first of the trainings started, or what the adapter goes
    on that it started from. dtype: of what is written, None for one that loses nothing. shard: size of a file at most.
    Raises ValueError with one sentence, before anything is written, for a folder that training did not write and for a
    base that is not there.
    """
    if not (trained / RECORD).is_file():
        raise ValueError(f"{trained} holds no result of train.py")
    start = base or started_from(trained)
    if start is None:
        raise ValueError(f"{trained} does not say which model it was trained from; name it with --base")
    start, theirs = base_of(Path(start)) if is_adapter(Path(start)) else (start, read_base(start))
    return save_adapter(read_base(str(trained), dtype=torch.float32), theirs, start, folder, dtype, shard)


def started_from(trained: Path) -> str | None:
    """The model that training began with, of several trainings one after another the first's; None if none says so."""
    start = None
    while (told := trained / RESOLVED).is_file():
        init = yaml.safe_load(told.read_text()).get("init")
        if init is None or init == start:
            break
        start, trained = init, Path(init)
    return start
