"""The released checkpoint's layout -> ours."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import torch
from torch import Tensor
from transformers import LlamaConfig
from transformers.initialization import no_init_weights

from moai.models.configuration import MoAIConfig, MoAIVisionConfig
from moai.models.modeling import MoAIForConditionalGeneration

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
    (r"^vit\.vision_tower\.", "vision.model."),
)

PRESET = "reference"
"""The preset of experts that the released model was trained with."""


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
        experts_from=PRESET,
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


QUANTIZED = ".quant_state.bitsandbytes__"
"""In the name of what bitsandbytes keeps beside a 4-bit weight."""


def packed_names(names: Iterable[str]) -> set[str]:
    """Those of a checkpoint's weights that are 4-bit; what belongs to one has its name and a dot before it."""
    return {name.split(QUANTIZED)[0] for name in names if QUANTIZED in name}


def dequantize(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with 4-bit (NF4, possibly double quantised) weights of bitsandbytes expanded.

    Raises ImportError with one sentence when such weights are there and bitsandbytes is not installed.
    """
    packed = packed_names(state_dict)
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


def _targets(key: str) -> tuple[str, ...]:
    """The names that a tensor of a reference checkpoint, or each of its parts, has here."""
    if match := re.match(r"model\.layers\.(\d+)\.attention\.wqkv\.(Plora_\w+)\.weight", key):
        layer, part = match.groups()
        return tuple(f"language_model.layers.{layer}.self_attn.{name}_proj{PARTS[part]}.weight" for name in "qkv")
    if match := re.match(r"model\.layers\.(\d+)\.(attention\.wo|feed_forward\.w\d)\.(Plora_\w+)\.weight", key):
        layer, linear, part = match.groups()
        return (f"language_model.layers.{layer}.{LINEARS[linear]}{PARTS[part]}.weight",)
    if match := re.match(r"model\.layers\.(\d+)\.attention\.moai_(\w+)\.linear_(\w)\.(\d)\.weight", key):
        layer, expert, projection, index = match.groups()
        return (f"mixers.{layer}.{EXPERTS[expert]}.{projection}_proj.{index}.weight",)
    for pattern, replacement in RENAMES:
        key = re.sub(pattern, replacement, key)
    return (key,)


def planned(keys: Iterable[str], wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    """For each of a checkpoint's tensors the names of the model's tensors that it becomes, none if it is of no use.

    `wanted` are the model's names. Raises ValueError naming what is missing or left over.
    """
    plan = {key: _targets(key) for key in keys}
    nested = "vision.model.vision_model."  # transformers' CLIP has lost a level
    if not any(name.startswith(nested) for name in wanted):
        plan = {key: tuple(name.replace(nested, "vision.model.") for name in names) for key, names in plan.items()}
    named = {name for names in plan.values() for name in names}
    # The final norm of the vision encoder is never used, and a checkpoint may leave it out.
    unused = [name for name in named - set(wanted) if "post_layernorm" not in name and "position_ids" not in name]
    missing = [name for name in wanted if name not in named and "post_layernorm" not in name]
    if missing or unused:
        raise ValueError(
            f"the checkpoint does not have the reference layout: {len(missing)} tensors missing {missing[:3]}, "
            f"{len(unused)} not understood {sorted(unused)[:3]}"
        )
    return {key: tuple(name for name in names if name in wanted) for key, names in plan.items()}


def converted(
    state_dict: dict[str, Tensor], plan: dict[str, tuple[str, ...]], wanted: Mapping[str, Tensor], config: MoAIConfig
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a (part of a) reference checkpoint, expanded, with their names in the model.

    plan: what `planned` gave; wanted: tensors of the model, for their shapes. Raises ValueError for another shape.
    """
    for key, value in state_dict.items():
        if key in ("model.tok_embeddings.weight", "output.weight"):
            value = value[: config.text_config.vocab_size]  # the image token's row is never looked up
        parts: tuple[Tensor, ...] = (value,)
        if ".wqkv." in key:
            # A projects the input, before queries, keys and values part ways; B and the main weight have their rows.
            parts = (value,) * 3 if "Plora_A" in key else split_qkv(value, config.text_config)
            parts = tuple(part.clone() for part in parts)
        for name, part in zip(plan[key], parts, strict=bool(plan[key])):
            if part.shape != wanted[name].shape:
                raise ValueError(
                    f"the checkpoint has other sizes than given: {name} is {tuple(part.shape)}, expected "
                    f"{tuple(wanted[name].shape)}"
                )
            yield name, part


def unused_norms(names: Iterable[str], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The vision encoder's final norm, which does nothing, where it is not among `names`."""
    absent = {name: wanted[name] for name in wanted.keys() - set(names) if "post_layernorm" in name}
    return {
        name: torch.full(tensor.shape, float(name.endswith("weight")), dtype=tensor.dtype)
        for name, tensor in absent.items()
    }


def from_reference(state_dict: dict[str, Tensor], sizes: dict) -> MoAIForConditionalGeneration:
    """A model in fp32 with the weights of a checkpoint in the authors' layout (fp16, fp32, or 4-bit partial LoRA).

    sizes: the keys of the parity fixtures' config.json. Raises ValueError naming what is missing or left over.
    """
    config = config_from_sizes(sizes)
    with no_init_weights():  # every weight comes from the checkpoint
        model = MoAIForConditionalGeneration._from_config(config, dtype=torch.float32)
    wanted = model.state_dict()
    state_dict = dequantize(state_dict)
    weights = dict(converted(state_dict, planned(state_dict, wanted), wanted, config))
    model.load_state_dict(weights | unused_norms(weights, wanted))
    return model.eval()
