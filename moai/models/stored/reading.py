"""Model and processor out of a folder, with one sentence for whatever is wrong with it.

No code of the folder runs and no pickle is opened; settings that lead to other files, or to kernels of a hub, are
refused.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoProcessor

from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.models.stored.explained import explained
from moai.models.stored.files import check_files, read_settings, shapes, weight_files
from moai.models.stored.fit import check_fit, check_generation
from moai.models.stored.settings import check_settings
from moai.models.stored.sizes import check_finite, check_report, check_size

_PROCESSOR_FILES = ("tokenizer_config.json", "processor_config.json")


def read_model(
    folder: Path, dtype: torch.dtype | str = "auto", config: MoAIConfig | None = None
) -> tuple[MoAIForConditionalGeneration, MoAIProcessor]:
    """Model and processor of a folder; dtype: of the weights, "auto" for that of the files; config: in place of the
    folder's own. Raises ValueError with one sentence for a folder that holds no such model, or one that is incomplete,
    broken, or does not fit together."""
    check_files(folder)
    if not (folder / "config.json").is_file():
        raise ValueError("it must be a folder that holds one, with its config.json")
    if (folder / "adapter_config.json").is_file():
        raise ValueError("it holds an adapter of peft beside the model; merge it into the weights first")
    if (folder / "generation_config.json").is_file():
        read_settings(folder / "generation_config.json")
    config = config or read_config(folder)
    stored = shapes(weight_files(folder))
    load: Any = MoAIForConditionalGeneration.from_pretrained  # its type leaves out the report
    with explained("its configuration cannot be used"):
        check_size(lambda: MoAIForConditionalGeneration(config), stored)
    with explained("its weights cannot be read"):
        model, report = load(
            folder,
            config=config,
            dtype=dtype,
            output_loading_info=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are reported, and refused here
        )
    check_report(report)
    check_finite(model.named_parameters())
    if report["unexpected_keys"]:
        raise ValueError(f"its weights hold {min(report['unexpected_keys'])}, which its configuration does not have")
    if not all(buffer.isfinite().all() for name, buffer in model.named_buffers() if "inv_freq" in name):
        raise ValueError("its configuration makes rotary frequencies that are no numbers; see rope_parameters")
    check_generation(model.generation_config)
    processor = read_processor(folder)
    with explained("its processor cannot be used"):
        check_fit(config, processor)
    return model, processor


def read_config(folder: Path) -> MoAIConfig:
    """The configuration in a folder; ValueError with one sentence for none, a broken one or one of another model."""
    told = read_settings(folder / "config.json")
    kind = told.get("model_type")
    if kind != MoAIConfig.model_type:
        raise ValueError(f"it is a {kind} model" if isinstance(kind, str) else "its config.json says no model_type")
    check_settings(told)
    with explained("its config.json cannot be used"):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def read_processor(folder: Path) -> MoAIProcessor:
    """The processor in a folder; ValueError with one sentence for none and for a broken one."""
    for file in _PROCESSOR_FILES:
        read_settings(folder / file)
    with explained("its processor or tokenizer cannot be used"):
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    if not isinstance(processor, MoAIProcessor):
        raise ValueError("it holds no processor of a MoAI model")
    return processor
