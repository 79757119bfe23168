"""A repository as the paper's authors released theirs, of random weights: files, names and sizes, not what they say."""

import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.prompts import SYSTEM
from moai.models.released.convert import EXPERTS, LINEARS, config_from_sizes

_BACK = (
    (r"^language_model\.embed_tokens\.", "model.tok_embeddings."),
    (r"^language_model\.norm\.", "model.norm."),
    (r"^lm_head\.", "output."),
    (r"\.input_layernorm\.", ".attention_norm."),
    (r"\.post_attention_layernorm\.", ".ffn_norm."),
    (r"^compressor\.attentions\.(\d+)\.", r"moai_compressor.layers.\1.0."),
    (r"^compressor\.feed_forwards\.(\d+)\.", r"moai_compressor.layers.\1.1."),
    (r"^compressor\.", "moai_compressor."),
    (r"^mixers\.(\d+)\.image_gate\.", r"model.layers.\1.attention.moai_GA_img."),
    (r"^mixers\.(\d+)\.language_gate\.", r"model.layers.\1.attention.moai_GA_lang."),
    *((rf"^mixers\.(\d+)\.{ours}\.(\w)_proj\.", rf"model.layers.\1.attention.moai_{theirs}.linear_\2.")
      for theirs, ours in EXPERTS.items()),
    *((rf"\.{re.escape(ours)}\.", f".{theirs}.Plora_main.") for theirs, ours in LINEARS.items()),
    (r"^(language_model\..*)\.self_attn\.q_proj\.", r"\1.attention.wqkv.Plora_main."),
    (r"\.Plora_main\.lora_(\w)\.", r".Plora_\1."),
    (r"^language_model\.layers\.", "model.layers."),
    (r"^projector\.", "vision_proj."),
    (r"^vision\.model\.(vision_model\.)?", "vit.vision_tower.vision_model."),
)  # fmt: skip
"""From a name of ours to the authors'; that of a query's projection stands for all three."""


def reference_shapes(config: MoAIConfig) -> dict[str, torch.Size]:
    """Name and shape of every tensor that the authors' checkpoint of these sizes has."""
    with torch.device("meta"):
        ours = MoAIForConditionalGeneration(config).state_dict()
    shapes = {}
    for name, tensor in ours.items():
        if (".k_proj." in name and name.startswith("language_model.")) or (".v_proj." in name and "language_m" in name):
            continue  # one tensor with the queries
        shape = list(tensor.shape)
        if re.match(r"language_model\..*\.q_proj\.(lora_B\.)?weight", name):
            shape[0] += 2 * ours[name.replace("q_proj", "k_proj")].shape[0]
        if name == "language_model.embed_tokens.weight":
            shape[0] += 1  # the image token's
        for pattern, replacement in _BACK:
            name = re.sub(pattern, replacement, name)
        shapes[name] = torch.Size(shape)
    return shapes


def letters_tokenizer(tokens: int) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with exactly that many tokens: specials, then letters, then fillers."""
    written = sorted({*pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(SYSTEM)[0][0], *"Ġ"})
    letters = sorted({*written, *map(chr, range(33, 127))})
    names = ["<unk>", "<s>", "</s>", *letters]
    names += [f"filler{number}" for number in range(tokens - len(names))]
    backend = Tokenizer(models.BPE(vocab={name: index for index, name in enumerate(names)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def write_release(folder: Path, sizes: dict | None, shard: int, dtype: torch.dtype = torch.float16) -> int:
    """Writes a repository of random weights in files of about `shard` bytes; returns its parameters.

    sizes: as `moai.convert.from_reference` takes them; None means MoAI-7B's.
    """
    config = MoAIConfig.moai_7b() if sizes is None else config_from_sizes(sizes)
    folder.mkdir(parents=True, exist_ok=True)
    letters_tokenizer(config.text_config.vocab_size).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(sizes or {"model_type": "internlm"}))
    shapes = reference_shapes(config)
    parts: list[dict[str, torch.Size]] = [{}]
    filled = 0
    for name, shape in shapes.items():
        if filled + shape.numel() * dtype.itemsize > shard and parts[-1]:
            parts.append({})
            filled = 0
        parts[-1][name] = shape
        filled += shape.numel() * dtype.itemsize
    # One block of noise again and again: what counts is that files of this size are read and written.
    noise = torch.randn(2**24, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(dtype)
    weight_map = {}
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05}-of-{len(parts):05}.safetensors"
        save_file({name: _filled(name, shape, noise) for name, shape in part.items()}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return sum(shape.numel() for shape in shapes.values())


def _filled(name: str, shape: torch.Size, noise: Tensor) -> Tensor:
    if len(shape) == 1 and name.endswith("norm.weight"):
        return torch.ones(shape, dtype=noise.dtype)
    values = torch.empty(shape.numel(), dtype=noise.dtype)
    for start in range(0, len(values), len(noise)):
        values[start : start + len(noise)] = noise[: len(values) - start]
    return values.reshape(shape)
