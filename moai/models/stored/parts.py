"""A pretrained part of transformers in a folder, looked through as a whole model is."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from moai.models.stored.files import check_files, read_settings, shapes, weight_files
from moai.models.stored.settings import check_settings
from moai.models.stored.sizes import check_finite, check_report, check_size


def read_part_config(folder: Path) -> PreTrainedConfig:
    """The configuration in a folder, once its files were looked through; ValueError with one sentence for what is wrong
    with them, and whatever transformers raises."""
    check_files(folder)
    check_settings(read_settings(folder / "config.json"))
    return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def read_part(kind: Any, folder: Path, config: PreTrainedConfig, dtype: torch.dtype | str) -> PreTrainedModel:
    """The model in a folder that the Auto class `kind` makes of `config`. Raises ValueError with one sentence for
    weights that are not those of `config`, and whatever transformers raises."""
    stored = shapes(weight_files(folder)) if any(folder.glob("model*.safetensors")) else None
    if stored is not None:
        check_size(lambda: kind.from_config(config, trust_remote_code=False), stored)
    model, report = kind.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        trust_remote_code=False,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are reported, and refused here
    )
    check_report(report, model)
    check_finite(model.named_parameters())
    return model
