"""Folders of models that bear their name only once all of a model is in them."""

import shutil
from pathlib import Path
from typing import Any

from moai.models.stored.files import read_settings, shapes, weight_files
from perception.files.whole import PART, move_folder


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a model's configuration and weights, none of them missing or broken off."""
    try:
        read_settings(folder / "config.json")
        shapes(weight_files(folder))
    except ValueError:
        return False
    return True


def write_model(model: Any, words: Any, folder: Path) -> None:
    """Writes a model that is not shared out, and its tokenizer or processor, in place of what is at `folder`.

    One process at a time may write the same folder, whichever it is of several that train together. Raises OSError
    where it cannot be written, ValueError where not all of it was; then nothing is left and what was there stays.
    """
    beside = folder.with_name(f".{folder.name}{PART}")
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
    # Of such processes transformers lets the first alone write weights and configuration; others may be here first.
    model.should_save_on_this_rank = lambda is_main_process: is_main_process
    try:
        model.save_pretrained(beside)
        words.save_pretrained(beside)
        if not is_whole(beside):
            raise ValueError(f"transformers left out files of the model that was to be written to {folder}")
        move_folder(beside, folder)
    finally:
        del model.should_save_on_this_rank
        shutil.rmtree(beside, ignore_errors=True)
