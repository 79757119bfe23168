"""A pretrained language model with its tokenizer, from a folder, the hub or a GGUF file."""

import hashlib
from pathlib import Path

import torch
import transformers
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from moai.models.hub import cache_folder
from moai.models.pretrained.places import located
from moai.models.stored.explained import explained, in_a_line
from moai.models.stored.parts import read_part, read_part_config
from moai.models.stored.whole import is_whole, write_model

GGUF = (".gguf",)
_PIECES, _PIECE = 64, 1 << 16
"""How many pieces of a file tell it, and their bytes."""


def load_language(name: str | Path, dtype: torch.dtype | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The causal language model that `name` means (see `located`) and its tokenizer.

    dtype: of its weights, None for that of the files (a GGUF file's are spelled out in fp32, once, into
    `moai.models.hub.cache_folder`). Raises ValueError with one sentence for what is missing or no language model.
    """
    path = located(name, GGUF)
    folder = _spelled_out(path) if path.suffix in GGUF else path
    if not (folder / "config.json").is_file():
        raise ValueError(f"{name} holds no language model: neither a folder with config.json nor a .gguf file")
    with explained(f"no language model could be loaded from {name}"):
        config = read_part_config(folder)
        if type(config) not in AutoModelForCausalLM._model_mapping:
            raise ValueError(f"it is no causal language model but of type {config.model_type}")
        if config.get_text_config() is not config:
            raise ValueError(f"it is of type {config.model_type}, more than a language model; name its text model")
        model = read_part(AutoModelForCausalLM, folder, config, dtype or "auto")
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    return model.eval(), tokenizer


def _spelled_out(path: Path) -> Path:
    """A folder of transformers with what a GGUF file holds, made whole at its first use, by one process."""
    folder = cache_folder() / "gguf" / f"{path.stem}-{_known_by(path)}"
    if is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / "gguf.lock"):
        if not is_whole(folder):
            try:
                model = _unpacked(path)
                write_model(model, AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name), folder)
            except Exception as error:  # readers of such files let errors of all kinds through
                raise ValueError(f"{path} cannot be read as a GGUF language model: {in_a_line(error)}") from error
    return folder


def _known_by(path: Path) -> str:
    """Tells a large file by its size and by pieces from all over it, so that a copy elsewhere is the same file."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for piece in range(_PIECES):
            file.seek(size * piece // _PIECES)
            digest.update(file.read(_PIECE))
    return digest.hexdigest()[:16]


def _unpacked(path: Path) -> PreTrainedModel:
    """A plain model in fp32; the one that reads a GGUF file may refuse to be saved, as it counts as quantised."""
    # Newer generations of transformers leave weights packed unless told otherwise.
    packing = getattr(transformers, "GgufConfig", None)
    told = {} if packing is None else {"quantization_config": packing(dequantize=True)}
    read = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32, **told)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with no_init_weights():
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(read.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = read.generation_config
    return plain
