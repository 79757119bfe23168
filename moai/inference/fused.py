"""The decoder's weights laid out for speed: linears that read the same states become one product.

The plain decoder of transformers keeps its parameters, which become views into the joined ones, so nothing is stored
twice and the plain path stays beside the fast one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig

from moai.models.plora import PartialLoRALinear


@dataclass(frozen=True)
class Branch:
    """Partial LoRA of joined linears: `down` (their ranks together, in), one `ups` (out, rank) for each."""

    down: Tensor
    ups: tuple[Tensor, ...]
    scaling: float


@dataclass(frozen=True)
class Projection:
    """Linears over the same states: one joined weight, or several where they cannot be joined (quantised)."""

    weights: tuple[Tensor, ...]
    bias: Tensor | None
    sizes: tuple[int, ...]
    branch: Branch | None

    def __call__(self, states: Tensor, image_share: Tensor | None = None) -> Tensor:
        """states: (N, in), image_share: (N, 1), 1 = image token, None: without partial LoRA -> (N, sum of sizes).

        Overwrites nothing but its own result; gradients do not flow.
        """
        output = project(states, self.weights, self.bias)
        if image_share is None or self.branch is None:
            return output
        # Masked between the two small products, where a row is short; the second adds to what is there.
        low = F.linear(states, self.branch.down) * (image_share * self.branch.scaling)
        start = rank = 0
        for up, size in zip(self.branch.ups, self.sizes, strict=True):
            output[:, start : start + size].addmm_(low[:, rank : rank + up.shape[1]], up.T)
            start, rank = start + size, rank + up.shape[1]
        return output


@dataclass(frozen=True)
class LayerWeights:
    """One decoder layer. `input_norm` and `output_norm` (D,) are the weights of its two norms."""

    input_norm: Tensor
    attention: Projection
    attended: Projection
    output_norm: Tensor
    gated: Projection
    down: Projection


def project(states: Tensor, weights: Sequence[Tensor], bias: Tensor | None) -> Tensor:
    """states: (..., in) -> (..., out), the outputs of several weights one after another."""
    if len(weights) == 1:
        return F.linear(states, weights[0], bias)
    output = torch.cat([F.linear(states, weight) for weight in weights], dim=-1)
    return output if bias is None else output + bias


def rms_norm(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """transformers' LlamaRMSNorm: (..., D) -> (..., D)."""
    exact = states.float()
    exact = exact * torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight * exact.to(states.dtype)


def rotated(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021), halves layout: states (..., d), cos and sin that broadcast to it."""
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat((-second, first), dim=-1) * sin


def can_be_fused(config: PreTrainedConfig) -> bool:
    """Whether a decoder of this configuration is one that the fast path knows: Llama with default rotary positions."""
    rope = config.rope_parameters if config.model_type == "llama" else None
    return rope is not None and rope.get("rope_type", "default") == "default" and config.hidden_act == "silu"


def layer_weights(decoder: nn.Module) -> list[LayerWeights]:
    """The weights of a Llama decoder, joined; its parameters become views of the joined weights."""
    layers = []
    # Outside inference mode: its tensors could not become parameters that train again.
    with torch.inference_mode(False), torch.no_grad():
        for layer in decoder.layers:
            attention, mlp = layer.self_attn, layer.mlp
            layers.append(
                LayerWeights(
                    layer.input_layernorm.weight,
                    _joined(attention.q_proj, attention.k_proj, attention.v_proj),
                    _joined(attention.o_proj),
                    layer.post_attention_layernorm.weight,
                    _joined(mlp.gate_proj, mlp.up_proj),
                    _joined(mlp.down_proj),
                )
            )
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # the separate weights were of other sizes, and nothing else would fit in their places
    return layers


def places(decoder: nn.Module) -> list[tuple[int, int]]:
    """Where the weights of a decoder lie; another list means that they were moved, cast or replaced."""
    return [(id(parameter), parameter.data_ptr()) for parameter in decoder.parameters() if _is_plain(parameter)]


def _is_plain(parameter: Tensor) -> bool:
    return type(parameter.data) is torch.Tensor


def _joined(*linears: nn.Linear) -> Projection:
    biases = [linear.bias for linear in linears]
    bias = None if biases[0] is None else torch.cat(biases)
    branch = None
    if all(isinstance(linear, PartialLoRALinear) for linear in linears):
        down = _join([linear.lora_A.weight for linear in linears])
        if len(down) == 1:
            branch = Branch(down[0], tuple(linear.lora_B.weight for linear in linears), linears[0].scaling)
    sizes = tuple(linear.out_features for linear in linears)
    return Projection(_join([linear.weight for linear in linears]), bias, sizes, branch)


def _join(parameters: list[nn.Parameter]) -> tuple[Tensor, ...]:
    """Matrices of equal width under one another, as one where they are plain tensors of one kind."""
    kinds = {(one.dtype, one.device, _is_plain(one)) for one in parameters}
    if len(parameters) == 1 or len(kinds) > 1 or not _is_plain(parameters[0]):
        return tuple(one.data for one in parameters)
    joined = _already_joined(parameters)
    if joined is None:
        joined = torch.cat([one.data for one in parameters])
        start = 0
        for one in parameters:
            one.data = joined[start : start + len(one)]
            start += len(one)
    return (joined,)


def _already_joined(parameters: list[nn.Parameter]) -> Tensor | None:
    first, end = parameters[0].data, parameters[0].data_ptr()
    for one in parameters:
        if one.data_ptr() != end or one.untyped_storage().data_ptr() != first.untyped_storage().data_ptr():
            return None
        end += one.numel() * one.element_size()
    return first.as_strided((sum(map(len, parameters)), first.shape[1]), first.stride())
