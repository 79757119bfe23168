"""Tiny random language models and vision encoders in the hub's format, one of each family that is told about."""

from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    CLIPImageProcessor,
    PreTrainedTokenizerBase,
    SiglipImageProcessor,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from moai.training.tokenizer import build_tokenizer

CHATML = (
    "{% for m in messages %}<|begin|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)
_COMMON = dict(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=512,
    pad_token_id=0,
    bos_token_id=None,
    eos_token_id=1,
)
_EXPERTS = dict(num_experts=4, num_local_experts=4, num_experts_per_tok=2, moe_intermediate_size=16)
_LATENT = dict(
    num_key_value_heads=4,
    q_lora_rank=16,
    kv_lora_rank=16,
    qk_rope_head_dim=8,
    qk_nope_head_dim=8,
    v_head_dim=8,
    head_dim=8,
)
LANGUAGE = {
    "llama": {},
    "mistral": {"sliding_window": None},
    "ministral": {},
    "qwen2": {},
    "qwen3": {},
    "smollm3": {"no_rope_layers": [1, 0]},
    "gemma": {},
    "gemma2": {"query_pre_attn_scalar": 8, "sliding_window": 64},
    "gemma3_text": {"query_pre_attn_scalar": 8, "sliding_window": 64},
    "phi": {"num_key_value_heads": 4},
    "phi3": {},
    "granite": {"logits_scaling": 4.0, "embedding_multiplier": 3.0, "residual_multiplier": 0.5},
    "cohere": {"logit_scale": 0.3},
    "olmo": {},
    "olmo2": {},
    "olmo3": {"sliding_window": 64},
    "exaone4": {"sliding_window": 64},
    "glm": {"partial_rotary_factor": 0.5},
    "stablelm": {},
    "starcoder2": {},
    "qwen2_moe": _EXPERTS | {"shared_expert_intermediate_size": 16},
    "qwen3_moe": _EXPERTS,
    "mixtral": _EXPERTS | {"sliding_window": None},
    "olmoe": _EXPERTS,
    "ernie4_5_moe": _EXPERTS
    | {"moe_num_experts": 4, "moe_k": 2, "moe_layer_start_index": 1, "moe_num_shared_experts": 1},
    "deepseek_v2": _EXPERTS
    | _LATENT
    | {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
    "deepseek_v3": _EXPERTS
    | _LATENT
    | {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
}
"""Families of language models, and what their tiny ones have beside or in place of the common sizes."""

_EYES = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=32)
VISION = {
    "clip": ("clip_vision_model", _EYES | {"patch_size": 8}),
    "siglip": ("siglip_vision_model", _EYES | {"patch_size": 8}),
    "dinov2": ("dinov2", _EYES | {"patch_size": 8}),
    "dinov2_with_registers": ("dinov2_with_registers", _EYES | {"patch_size": 8, "num_register_tokens": 4}),
    "dinov3_vit": ("dinov3_vit", _EYES | {"patch_size": 8, "num_register_tokens": 4}),
    "vit": ("vit", _EYES | {"patch_size": 8}),
    "convnextv2": ("convnextv2", {"image_size": 64, "hidden_sizes": [8, 8, 16, 32], "depths": [1, 1, 1, 1]}),
}
"""Vision encoders of transformers."""
TIMM = {
    "test_vit": 160,
    "test_convnext": 160,
    "test_efficientnet": 160,
    "test_resnet": 160,
    "swin_tiny_patch4_window7_224": 64,
    "vit_tiny_patch16_224": 64,
    "eva02_tiny_patch14_224": 56,
    "vit_small_patch16_dinov3": 64,
    "beit_base_patch16_224": 64,
    "maxvit_pico_rw_256": 64,
}
"""Vision encoders of timm, with the side of the picture that they are asked for."""


def tokenizer(template: str | None = CHATML) -> PreTrainedTokenizerBase:
    """One that knows a few words and spells the rest, with a chat template."""
    made = build_tokenizer(["What is this? A dog", "system user assistant"])
    made.add_special_tokens({"additional_special_tokens": ["<|begin|>", "<|end|>"]})
    made.chat_template = template
    return made


def language_model(family: str, folder: Path, template: str | None = CHATML, **changes) -> Path:
    """A folder with a tiny random language model of a family and its tokenizer; `changes` of its configuration."""
    words = tokenizer(template)
    torch.manual_seed(0)
    fields = _COMMON | LANGUAGE.get(family, {}) | {"vocab_size": len(words)} | changes
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **fields))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def gguf_file(path: Path, width: int = 32) -> Path:
    """A GGUF file with a tiny random Llama of one layer and a tokenizer of bytes."""
    from gguf import GGUFWriter  # which not every machine for GPU tests has

    generator, inner = np.random.default_rng(0), 48
    words = ["<unk>", "<s>", "</s>", *bytes_to_unicode().values(), "th", "the"]
    file = GGUFWriter(path, "llama")
    file.add_context_length(512)
    file.add_embedding_length(width)
    file.add_block_count(1)
    file.add_feed_forward_length(inner)
    file.add_head_count(4)
    file.add_head_count_kv(2)
    file.add_rope_freq_base(10000.0)
    file.add_rope_dimension_count(width // 4)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_vocab_size(len(words))
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("smollm")
    file.add_token_list(words)
    file.add_token_types([3, 3, 3] + [1] * (len(words) - 3))
    file.add_token_merges(["t h", "th e"])
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_unk_token_id(0)
    shapes = {"attn_q": (width, width), "attn_k": (width // 2, width), "attn_v": (width // 2, width)}
    shapes |= {"attn_output": (width, width), "attn_norm": (width,), "ffn_norm": (width,)}
    shapes |= {"ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}
    named = {f"blk.0.{name}.weight": shape for name, shape in shapes.items()}
    named |= {"token_embd.weight": (len(words), width), "output_norm.weight": (width,)}
    for name, shape in named.items():
        file.add_tensor(name, generator.standard_normal(shape, np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def vision_encoder(family: str, folder: Path, **changes) -> Path:
    """A folder with a tiny random vision encoder of transformers and its image processor."""
    kind, fields = VISION[family]
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(kind, **(fields | changes))).save_pretrained(folder)
    processor = SiglipImageProcessor if family == "siglip" else CLIPImageProcessor
    side = fields["image_size"]
    size = {"height": side, "width": side}
    processor(size=size, crop_size=size, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.3, 0.4]).save_pretrained(folder)
    return folder


def timm_encoder(name: str, folder: Path) -> Path:
    """A folder as timm's on the hub: config.json and model.safetensors."""
    import json

    torch.manual_seed(0)
    side = TIMM[name]
    try:
        model = timm.create_model(name, img_size=side)
    except TypeError:
        model = timm.create_model(name)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    told = {
        "input_size": [3, side, side],
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
        "num_classes": model.num_classes,
    }
    told |= {key: model.pretrained_cfg[key] for key in ("first_conv", "classifier") if key in model.pretrained_cfg}
    (folder / "config.json").write_text(json.dumps({"architecture": name, "pretrained_cfg": told}))
    return folder
