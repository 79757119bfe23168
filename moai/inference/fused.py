"""The decoder's weights as the fast path reads them: linears over the same states make one product if they lie joined.

`fuse_weights` joins them, when asked to: the decoder's parameters become views into the joined ones, so nothing is
stored twice and the plain path stays beside the fast one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from moai.inference.products import Branch, DenseWeights, Projection, SparseWeights
from moai.inference.untouched import all_modules, is_untouched
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.plora import PartialLoRALinear
from moai.models.sparse.layer import SparseFeedForward


@dataclass(frozen=True)
class LayerWeights:
    """One decoder layer. `input_norm` and `output_norm` (D,) are the weights of its two norms, `head_norms` those (d,)
    of queries and of keys, None in families without; `rotary` says whether it turns them by their positions."""

    input_norm: Tensor
    attention: Projection
    attended: Projection
    output_norm: Tensor
    feed_forward: DenseWeights | SparseWeights
    head_norms: tuple[Tensor, Tensor] | None = None
    rotary: bool = True


def rms_norm(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """transformers' LlamaRMSNorm: (..., D) -> (..., D)."""
    exact = states.float()
    exact = exact * torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight * exact.to(states.dtype)


def rotated(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021), halves layout: states (..., d), cos and sin that broadcast to it."""
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat((-second, first), dim=-1) * sin


LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3", "smollm3", "mixtral", "qwen3_moe")
"""Families of decoders that the fast path knows: Llama, and those that differ by biases, head norms, layers without
positions, or routed experts."""
_ONE_WINDOW = ("mistral", "mixtral", "qwen3_moe")
"""Families of which all layers see a window, where the configuration has one."""
_ROTARY = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary positions that do not depend on how long a text is."""


def can_be_fused(config: PreTrainedConfig) -> bool:
    """Whether a decoder of this configuration is one that the fast path knows: like Llama, and every layer sees all."""
    if config.model_type not in LLAMA_LIKE or config.hidden_act != "silu":
        return False
    sliding = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    if config.model_type in _ONE_WINDOW:
        sliding = config.sliding_window is not None
    return not sliding and (config.rope_parameters or {}).get("rope_type", "default") in _ROTARY


def fuse_weights(model: MoAIForConditionalGeneration) -> None:
    """Joins what the fast path reads together, in place: the decoder's parameters become views of larger tensors.

    The fast path works without, somewhat slower. Values, names and gradients of the parameters stay; code that keeps
    hold of their storage, as a sharding optimiser does, must start afterwards. Nothing is stored twice. Does nothing
    for decoders that the fast path does not know.
    """
    if not is_untouched(model) or not can_be_fused(model.config.text_config):
        return
    # Outside inference mode: its tensors could not become parameters that train again.
    with torch.inference_mode(False), torch.no_grad():
        for layer in model.language_model.layers:
            join_layer(layer)
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # the separate weights were of other sizes, and nothing else would fit in their places


def join_layer(layer: nn.Module) -> None:
    """Joins the parameters of one decoder layer that are read together, as `fuse_weights`; without gradients."""
    for linears in _together(layer):
        for parameters in _parameters(linears):
            _join(parameters)


def layer_weights(decoder: nn.Module) -> list[LayerWeights]:
    """The weights of a decoder like Llama's, as they lie: nothing is copied or moved."""
    with torch.inference_mode(False), torch.no_grad():
        return [weights_of(layer) for layer in decoder.layers]


def weights_of(layer: nn.Module) -> LayerWeights:
    """The weights of one layer of such a decoder, as they lie; without gradients."""
    attention, attended = (_projection(linears) for linears in _of_attention(layer.self_attn))
    norms = (layer.input_layernorm.weight, layer.post_attention_layernorm.weight)
    own = layer.self_attn
    heads = (own.q_norm.weight, own.k_norm.weight) if hasattr(own, "q_norm") else None
    rotary = bool(getattr(own, "use_rope", True))
    fed = _fed(layer.mlp, own.config)
    return LayerWeights(norms[0], attention, attended, norms[1], fed, heads, rotary)


def _of_attention(attention: nn.Module) -> tuple[tuple[nn.Linear, ...], ...]:
    """The linears of an attention, by what they read."""
    return (attention.q_proj, attention.k_proj, attention.v_proj), (attention.o_proj,)


def _of_feed_forward(mlp: nn.Module) -> tuple[tuple[nn.Linear, ...], ...]:
    """The linears of a SwiGLU, by what they read."""
    return (mlp.gate_proj, mlp.up_proj), (mlp.down_proj,)


def _together(layer: nn.Module) -> tuple[tuple[nn.Linear, ...], ...]:
    """The linears of a decoder layer, by what they read; those of routed experts lie joined anyway."""
    mlp = getattr(layer.mlp, "shared_experts", None) if hasattr(layer.mlp, "experts") else layer.mlp
    return _of_attention(layer.self_attn) + (() if mlp is None else _of_feed_forward(mlp))


def _fed(mlp: nn.Module, config: PreTrainedConfig) -> DenseWeights | SparseWeights:
    if isinstance(mlp, SparseFeedForward):
        return _sparse(mlp)
    return _routed(mlp, config) if hasattr(mlp, "experts") else _dense(mlp)


def _dense(mlp: nn.Module) -> DenseWeights:
    return DenseWeights(*map(_projection, _of_feed_forward(mlp)))


def _routed(mlp: nn.Module, config: PreTrainedConfig) -> SparseWeights:
    """Routed experts of Mixtral (arXiv 2401.04088), or of Qwen3, which may leave the chosen scores as they are."""
    router, experts = mlp.gate, mlp.experts
    return SparseWeights(
        rows=router.weight.data,
        routes=len(router.weight),
        active=router.top_k,
        scaling=1.0,
        renormalise=getattr(router, "norm_topk_prob", True),
        gate_up=experts.gate_up_proj.data,
        down=experts.down_proj.data,
        implementation=config._experts_implementation,
    )


def _sparse(mlp: SparseFeedForward) -> SparseWeights:
    router, experts = mlp.gate, mlp.experts
    return SparseWeights(
        rows=router.rows().data,
        routes=len(router.weight),
        active=router.active,
        scaling=router.scaling,
        renormalise=router.renormalise,
        gate_up=experts.gate_up_proj.data,
        down=experts.down_proj.data,
        expert_of=mlp.expert_of,
        shared=None if mlp.shared_experts is None else _dense(mlp.shared_experts),
        branches=None if experts.branches is None else experts.branches.weights(),
        implementation=experts.config._experts_implementation,
    )


def places(decoder: nn.Module) -> list[tuple[int, int]]:
    """Where the weights of a decoder lie; another list means that they were moved, cast or replaced."""
    held = (one for module in all_modules([decoder]) for one in module._parameters.values())
    return [(id(one), one.data_ptr()) for one in held if one is not None and _is_plain(one)]


def _is_plain(parameter: Tensor) -> bool:
    # The first says it for most, and sooner.
    return type(parameter) is nn.Parameter or type(parameter.data) is torch.Tensor


def _has_branch(linears: Sequence[nn.Linear]) -> bool:
    return all(isinstance(linear, PartialLoRALinear) for linear in linears)


def _parameters(linears: Sequence[nn.Linear]) -> list[list[nn.Parameter]]:
    """Parameters that can be joined: the weights, the biases, the first factors of partial LoRA."""
    groups = [[linear.weight for linear in linears]]
    if linears[0].bias is not None:
        groups.append([linear.bias for linear in linears])
    if _has_branch(linears):
        groups.append([linear.lora_A.weight for linear in linears])
    return groups


def _projection(linears: Sequence[nn.Linear]) -> Projection:
    weights, *others = (_joined(parameters) for parameters in _parameters(linears))
    branch = None
    if _has_branch(linears):
        branch = Branch(others.pop(), tuple(linear.lora_B.weight for linear in linears), linears[0].scaling)
    sizes = tuple(linear.out_features for linear in linears)
    return Projection(weights, others.pop() if others else (), sizes, branch)


def _can_be_joined(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether they are plain tensors of one kind, not quantised ones."""
    kinds = {(one.dtype, one.device) for one in parameters}
    return len(parameters) > 1 and len(kinds) == 1 and all(map(_is_plain, parameters))


def _join(parameters: Sequence[nn.Parameter]) -> None:
    """Puts matrices of equal width, or vectors, under one another, in place."""
    if not _can_be_joined(parameters) or len(_joined(parameters)) == 1:
        return
    joined = torch.cat([one.data for one in parameters])
    for one, part in zip(parameters, joined.split([len(one) for one in parameters]), strict=True):
        one.data = part


def _joined(parameters: Sequence[nn.Parameter]) -> tuple[Tensor, ...]:
    """The parameters as one tensor where they lie under one another, otherwise as they are."""
    apart = tuple(one.data for one in parameters)
    if not _can_be_joined(parameters):
        return apart
    first, end = apart[0], apart[0].data_ptr()
    for one in apart:
        if one.data_ptr() != end or one.untyped_storage().data_ptr() != first.untyped_storage().data_ptr():
            return apart
        end += one.numel() * one.element_size()
    return (first.as_strided((sum(map(len, apart)), *first.shape[1:]), first.stride()),)
