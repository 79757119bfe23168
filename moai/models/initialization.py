"""Values for what a saved model does not hold: weights that are new, and buffers that are computed."""

from collections.abc import Iterable

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init

from moai.models.compressor import MoAICompressor, WordContext
from moai.models.configuration import MoAIVisionConfig
from moai.models.mixer import CrossAttentionBlock, MoAIMixer
from moai.models.plora import PartialLoRALinear
from moai.models.sparse.branch import ExpertBranches
from moai.models.sparse.experts import SparseExperts
from moai.models.sparse.layer import SparseFeedForward, SparseRouter
from moai.models.vision import build_encoder


@torch.no_grad()
def start_branches(modules: Iterable[nn.Module], std: float) -> None:
    """Lets new mixers return their queries and new partial LoRA add nothing, so the decoder starts as it was; what
    partial LoRA reads with is drawn with standard deviation `std`."""
    for module in modules:
        if isinstance(module, MoAIMixer):
            for gate in (module.image_gate, module.language_gate):
                init.zeros_(gate.weight)
                init.zeros_(gate.bias)
        elif isinstance(module, CrossAttentionBlock):
            init.zeros_(module.o_proj.get_parameter("1.weight"))
        elif isinstance(module, PartialLoRALinear):
            init.normal_(module.lora_A.weight, std=std)
            init.zeros_(module.lora_B.weight)
        elif isinstance(module, ExpertBranches):
            for branch in (module.gate_up, module.down):
                init.normal_(branch.lora_A.get_parameter("weight"), std=std)
                init.zeros_(branch.lora_B.get_parameter("weight"))


@torch.no_grad()
def fill_sparse(modules: Iterable[nn.Module], std: float) -> None:
    """Draws new routers and routed experts with standard deviation `std`; new routes lead to experts in turn."""
    for module in modules:
        if isinstance(module, SparseRouter):
            for rows in (module.weight, module.pruned):
                if rows is not None:
                    init.normal_(rows, std=std)
        elif isinstance(module, SparseExperts):
            init.normal_(module.gate_up_proj, std=std)
            init.normal_(module.down_proj, std=std)
        elif isinstance(module, SparseFeedForward) and module.expert_of is not None:
            init.copy_(module.expert_of, torch.arange(len(module.expert_of)) % module.experts.num_experts)


@torch.no_grad()
def fill_compressor(modules: Iterable[nn.Module]) -> None:
    """Gives a compressor's own parameters, where loading left them without, the values that they start with."""
    for module in modules:
        if isinstance(module, MoAICompressor):
            init.normal_(module.latents, std=module.LATENTS_STD)
            if module.part_codes is not None:
                init.zeros_(module.part_codes)
        elif isinstance(module, WordContext) and module.position_scale is not None:
            init.ones_(module.position_scale)


@torch.no_grad()
def fill_encoder(encoder: nn.Module, config: MoAIVisionConfig) -> None:
    """Gives what loading left without values, buffers that are not saved above all, those of a fresh encoder.

    Models of transformers inside it do so themselves.
    """
    others = [name for name, module in encoder.named_modules() if isinstance(module, PreTrainedModel)]
    held = {
        name: tensor
        for name, tensor in (*encoder.named_parameters(), *encoder.named_buffers())
        if not getattr(tensor, "_is_hf_initialized", False)
        and not any(name.startswith(f"{other}.") or not other for other in others)
    }
    if not held:
        return
    with torch.device("cpu"):
        fresh = build_encoder(config)
    values = dict((*fresh.named_parameters(), *fresh.named_buffers()))
    for name, tensor in held.items():
        tensor.copy_(values[name])
