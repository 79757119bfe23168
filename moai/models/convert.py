"""The released checkpoint's layout -> ours."""

import pickle
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer, LlamaConfig, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from moai.models.configuration import MoAIConfig, MoAIVisionConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor

EXPERTS = {
    "CA_img_aux": "image_aux",
    "CA_img_lang": "image_language",
    "SA_img": "image_self",
    "CA_lang_aux": "language_aux",
    "CA_lang_img": "language_image",
    "SA_lang": "language_self",
}
LINEARS = {
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w3": "mlp.up_proj",
    "feed_forward.w2": "mlp.down_proj",
}
PARTS = {"Plora_main": "", "Plora_A": ".lora_A", "Plora_B": ".lora_B"}
RENAMES = (
    (r"^model\.tok_embeddings\.", "language_model.embed_tokens."),
    (r"^model\.norm\.", "language_model.norm."),
    (r"^output\.", "lm_head."),
    (r"\.attention_norm\.", ".input_layernorm."),
    (r"\.ffn_norm\.", ".post_attention_layernorm."),
    (r"^moai_compressor\.latents", "compressor.latents"),
    (r"^moai_compressor\.norm\.", "compressor.norm."),
    (r"^moai_compressor\.layers\.(\d+)\.0\.", r"compressor.attentions.\1."),
    (r"^moai_compressor\.layers\.(\d+)\.1\.", r"compressor.feed_forwards.\1."),
    (r"^model\.layers\.(\d+)\.attention\.moai_GA_img\.", r"mixers.\1.image_gate."),
    (r"^model\.layers\.(\d+)\.attention\.moai_GA_lang\.", r"mixers.\1.language_gate."),
    (r"^model\.layers\.", "language_model.layers."),
    (r"^vision_proj\.", "projector."),
)


def config_from_sizes(sizes: dict) -> MoAIConfig:
    """MoAIConfig for a reference checkpoint; `sizes` has the keys of the parity fixtures' config.json.

    Raises KeyError when a size is missing.
    """
    clip = dict(sizes["clip"])
    clip.pop("image_size", None)  # the released position table is already resized to 490 pixels
    side = 490
    text_config = LlamaConfig(
        vocab_size=sizes["vocab_size"],
        hidden_size=sizes["hidden_size"],
        intermediate_size=sizes["intermediate_size"],
        num_hidden_layers=sizes["num_hidden_layers"],
        num_attention_heads=sizes["num_attention_heads"],
        num_key_value_heads=sizes["num_key_value_heads"],
        rms_norm_eps=sizes["rms_norm_eps"],
        rope_parameters={"rope_type": "default", "rope_theta": float(sizes["rope_theta"])},
        attention_bias=sizes.get("bias", False),
        max_position_embeddings=32768,
        pad_token_id=None,
        bos_token_id=1,
        eos_token_id=2,
    )
    vision_config = MoAIVisionConfig(
        encoder="clip",
        name="",
        image_size=side,
        patch_size=clip["patch_size"],
        hidden_size=clip["hidden_size"],
        clip=clip | {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    )
    compressor, mixer, every = sizes["compressor"], sizes["mixer"], sizes["mixer"]["every"]
    return MoAIConfig(
        text_config=text_config,
        vision_config=vision_config,
        image_token_id=sizes["image_token_index"],
        compressor_num_latents=compressor["num_latents"],
        compressor_depth=compressor["depth"],
        compressor_heads=compressor["heads"],
        compressor_dim_head=compressor["dim_head"],
        compressor_ff_mult=compressor["ff_mult"],
        compressor_positions="none",
        mixer_layers=list(range(every - 1, sizes["num_hidden_layers"], every)),
        mixer_heads=mixer["heads"],
        mixer_rank=mixer["rank"],
        plora_rank=sizes["plora_rank"],
        plora_alpha=sizes["plora_alpha"],
        legacy_color_map=True,
    )


def split_qkv(rows: Tensor, config: LlamaConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of a fused projection, grouped per key-value head as [its queries..., key, value] -> q, k, v rows.

    rows: ((heads + 2 kv_heads) * head_dim, any).
    """
    groups, width = config.num_key_value_heads or config.num_attention_heads, rows.shape[-1]
    per_group = config.num_attention_heads // groups
    grouped = rows.reshape(groups, per_group + 2, -1, width)
    query, key, value = (
        part.reshape(-1, width).contiguous() for part in (grouped[:, :per_group], grouped[:, -2], grouped[:, -1])
    )
    return query, key, value


def dequantize(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with 4-bit (NF4, possibly double quantised) weights of bitsandbytes expanded.

    Raises ImportError with one sentence when such weights are there and bitsandbytes is not installed.
    """
    marker = ".quant_state.bitsandbytes__"
    packed = {key.split(marker)[0] for key in state_dict if marker in key}
    if not packed:
        return state_dict
    try:
        from bitsandbytes.functional import QuantState, dequantize_4bit
    except ImportError as error:
        raise ImportError("this checkpoint holds 4-bit weights; `pip install bitsandbytes` to convert it") from error
    plain = {key: value for key, value in state_dict.items() if not any(key.startswith(name) for name in packed)}
    for name in packed:
        statistics = {key: value for key, value in state_dict.items() if key.startswith(name + ".")}
        state = QuantState.from_dict(statistics, device=state_dict[name].device)
        plain[name] = dequantize_4bit(state_dict[name], state)
    return plain


def convert_state_dict(state_dict: dict[str, Tensor], config: MoAIConfig) -> dict[str, Tensor]:
    """Every tensor of a reference checkpoint under its name in `MoAIForConditionalGeneration`."""
    converted = {}
    clip_prefix = "model.vision_model."
    for key, value in dequantize(state_dict).items():
        if key == "model.tok_embeddings.weight":
            value = value[: config.text_config.vocab_size]  # the image token's row is never looked up
        if match := re.match(r"model\.layers\.(\d+)\.attention\.wqkv\.(Plora_\w+)\.weight", key):
            layer, part = match.groups()
            # A projects the input, before queries, keys and values part ways; B and the main weight have their rows.
            pieces = (value,) * 3 if part == "Plora_A" else split_qkv(value, config.text_config)
            for name, piece in zip("qkv", pieces, strict=True):
                target = f"language_model.layers.{layer}.self_attn.{name}_proj{PARTS[part]}.weight"
                converted[target] = piece.clone()
            continue
        if match := re.match(r"model\.layers\.(\d+)\.(attention\.wo|feed_forward\.w\d)\.(Plora_\w+)\.weight", key):
            layer, linear, part = match.groups()
            converted[f"language_model.layers.{layer}.{LINEARS[linear]}{PARTS[part]}.weight"] = value
            continue
        if match := re.match(r"model\.layers\.(\d+)\.attention\.moai_(\w+)\.linear_(\w)\.(\d)\.weight", key):
            layer, expert, projection, index = match.groups()
            converted[f"mixers.{layer}.{EXPERTS[expert]}.{projection}_proj.{index}.weight"] = value
            continue
        if key.startswith("vit.vision_tower.vision_model."):
            converted["vision." + clip_prefix + key.removeprefix("vit.vision_tower.vision_model.")] = value
            continue
        for pattern, replacement in RENAMES:
            key = re.sub(pattern, replacement, key)
        converted[key] = value
    return converted


def from_reference(state_dict: dict[str, Tensor], sizes: dict) -> MoAIForConditionalGeneration:
    """A model in fp32 with the weights of a checkpoint in the authors' layout (fp16, fp32, or 4-bit partial LoRA).

    sizes: the keys of the parity fixtures' config.json. Raises ValueError naming what is missing or left over.
    """
    return _load(state_dict, config_from_sizes(sizes), torch.float32)


def _load(state_dict: dict[str, Tensor], config: MoAIConfig, dtype: torch.dtype) -> MoAIForConditionalGeneration:
    with no_init_weights():  # every weight comes from the checkpoint
        model = MoAIForConditionalGeneration._from_config(config, dtype=dtype)
    wanted = model.state_dict()
    converted = convert_state_dict(state_dict, config)
    if not any(key.startswith("vision.model.vision_model.") for key in wanted):
        converted = {key.replace("vision.model.vision_model.", "vision.model."): v for key, v in converted.items()}
    unused = [key for key in converted if key not in wanted and "post_layernorm" not in key]
    unused = [key for key in unused if "position_ids" not in key]
    missing = [key for key in wanted if key not in converted and "post_layernorm" not in key]
    if missing or unused:
        raise ValueError(
            f"the checkpoint does not have the reference layout: {len(missing)} tensors missing {missing[:3]}, "
            f"{len(unused)} not understood {unused[:3]}"
        )
    for key, value in converted.items():
        if key in wanted and value.shape != wanted[key].shape:
            raise ValueError(
                f"the checkpoint has other sizes than given: {key} is {tuple(value.shape)}, expected "
                f"{tuple(wanted[key].shape)}"
            )
    # The final norm of the vision encoder is never used, and a checkpoint may leave it out.
    norms = {key: torch.ones_like(value) if key.endswith("weight") else torch.zeros_like(value)
             for key, value in wanted.items() if "post_layernorm" in key}  # fmt: skip
    model.load_state_dict(norms | {key: value.to(dtype) for key, value in converted.items()}, strict=False)
    return model.eval()


def _read_shards(shards: list[Path]) -> dict[str, Tensor]:
    state_dict: dict[str, Tensor] = {}
    for shard in shards:
        try:
            part = load_file(shard) if shard.suffix == ".safetensors" else torch.load(shard, "cpu", weights_only=True)
        except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ValueError(f"{shard} cannot be read as a file of weights") from error
        if not isinstance(part, dict) or not all(isinstance(value, Tensor) for value in part.values()):
            raise ValueError(f"{shard} is not a plain table of tensors")
        state_dict |= part
    return state_dict


def _read_tokenizer(source: Path, config: MoAIConfig) -> PreTrainedTokenizerBase:
    """The folder's tokenizer with an image token, whose id goes into `config` with those of the other special tokens.

    That id is the vocabulary size when the tokenizer fills the vocabulary, as the released one does.
    """
    try:
        # Code that comes with a checkpoint is not run.
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError, AttributeError) as error:
        raise ValueError(
            f"the tokenizer in {source} cannot be read; put a tokenizer.json and tokenizer_config.json there"
        ) from error
    if tokenizer.eos_token_id is None:
        raise ValueError(f"the tokenizer in {source} has no end-of-sequence token")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    if "<image>" not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    text = config.text_config
    ids = tokenizer.get_vocab()
    config.image_token_id = ids.pop("<image>")
    if max(ids.values()) >= text.vocab_size:
        raise ValueError(
            f"the tokenizer in {source} has {len(ids)} tokens, but the checkpoint's vocabulary is {text.vocab_size}"
        )
    text.bos_token_id, text.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    text.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def convert_folder(source: Path, target: Path, sizes: dict | None = None) -> None:
    """Write the checkpoint in the authors' layout that `source` holds, with its tokenizer, to `target` in this one.

    source: folder of *.safetensors, else *.bin shards, and a tokenizer. sizes: as for `from_reference`; None means
    MoAI-7B's. The weights keep the checkpoint's precision; `MoAI.from_pretrained(target)` reads the result.
    Raises ValueError with one sentence when something is missing, unreadable or of another layout, and ImportError
    for 4-bit weights without bitsandbytes.
    """
    source, target = Path(source), Path(target)
    if not source.is_dir():
        raise ValueError(f"there is no folder {str(source)!r}")
    try:
        config = MoAIConfig.moai_7b() if sizes is None else config_from_sizes(sizes)
    except KeyError as error:
        raise ValueError(f"the sizes lack {error}; they need the keys of tests/fixtures/config.json") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"the sizes cannot be used: {error}") from error
    shards = sorted(source.glob("*.safetensors")) or sorted(source.glob("*.bin"))
    if not shards:
        raise ValueError(f"{source} holds no weights: neither *.safetensors nor *.bin")
    tokenizer = _read_tokenizer(source, config)
    state_dict = _read_shards(shards)
    embeddings = state_dict.get("model.tok_embeddings.weight")
    dtype = torch.float16 if embeddings is None or not embeddings.is_floating_point() else embeddings.dtype
    model = _load(state_dict, config, dtype)
    model.save_pretrained(target)
    processor = MoAIProcessor(
        tokenizer,
        image_size=config.vision_config.image_size,
        num_image_tokens=config.num_image_tokens,
        prompt_style="reference_demo",
        legacy_color_map=config.legacy_color_map,
    )
    processor.save_pretrained(target)
