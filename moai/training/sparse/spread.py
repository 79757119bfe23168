"""Expert parallelism: the routed experts of sparse layers are shared out over processes, all else stays as it is.

Each of a group of processes holds some of the experts of every layer. A token's state goes to the processes that hold
its experts and what they make of it comes back, by two exchanges of all with all. Several groups hold the same experts.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from moai.models.sparse.experts import Product, Stacked
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.remaking import STACKED


def _check(model: nn.Module, parts: int, count: int) -> None:
    """Raises ValueError with one sentence where `count` processes, in groups of `parts`, cannot share out a model's
    experts."""
    layers = sparse_layers(model)
    if not layers:
        raise ValueError(
            "experts_parallel is for experts of sparse layers, which this model has none of; `moai upcycle` makes them"
        )
    if count % parts:
        raise ValueError(f"{count} processes cannot be divided into groups of {parts} (experts_parallel)")
    experts = next(iter(layers.values())).experts.num_experts
    if experts % parts:
        raise ValueError(f"{experts} experts cannot be shared out evenly over {parts} processes (experts_parallel)")


def stacks(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that have one matrix for each routed expert, by their names in the model."""
    suffixes = tuple(f".mlp.{name}" for name in STACKED)
    return {name: one for name, one in model.named_parameters() if name.endswith(suffixes)}


def spread_experts(model: nn.Module, parts: int, count: int, device: torch.device) -> None:
    """Shares out the routed experts of `model`, in place: each of `count` processes, which all have the same, keeps one
    of `parts`. All processes have to ask, and then to run the model together.

    Raises ValueError with one sentence for a model without sparse layers, and for numbers that do not divide.
    """
    _check(model, parts, count)
    mesh = init_device_mesh(device.type, (count // parts, parts), mesh_dim_names=("copies", "experts"))
    layout = [Replicate(), Shard(0)]
    for layer in sparse_layers(model).values():
        for name in STACKED:
            path, _, leaf = name.rpartition(".")
            try:
                holder = layer.get_submodule(path)
            except AttributeError:  # without partial LoRA there are no branches
                continue
            old = holder.get_parameter(leaf)
            new = distribute_tensor(old.detach().to(device), mesh, layout, src_data_rank=None)
            setattr(holder, leaf, nn.Parameter(new, requires_grad=old.requires_grad))
        layer.experts.placement = Spread(mesh)


def is_spread(module: nn.Module) -> bool:
    """Whether `spread_experts` was called with the model in it."""
    return any(layer.experts.placement is not None for layer in sparse_layers(module).values())


def copied(objective: nn.Module) -> DistributedDataParallel:
    """The module, all but its routed experts the same on all processes (DDP)."""
    # DDP would average what is not the same, and knows no tensors with parts elsewhere.
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(objective, list(stacks(objective)))
    device = next(objective.parameters()).device
    return DistributedDataParallel(objective, None if device.type == "cpu" else [device], find_unused_parameters=True)


class Spread:
    """What the experts of one layer, shared out over the second dimension of `mesh`, do in place of what they did."""

    def __init__(self, mesh: DeviceMesh) -> None:
        self.mesh = mesh
        self.experts, self.copies = mesh.get_group("experts"), mesh.get_group("copies")

    def weight(self, weight: Tensor, training: bool) -> Tensor:
        """A stacked weight as it is computed with: in training this process's part, else all of it."""
        if not training:
            return weight.full_tensor()
        return _Averaged.apply(weight.to_local(grad_placements=weight.placements), self.copies, self.mesh.size())

    def product(self, product: Product) -> Product:
        """The same product by experts of which this process has a part."""

        def exchanged(experts: Stacked, states: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
            here, active, kind = len(experts.gate_up_proj), chosen.shape[1], states.dtype
            # Sorted by expert, and so by process: each holds neighbours.
            order = chosen.flatten().argsort(stable=True)
            sent = torch.zeros(here * dist.get_world_size(self.experts), dtype=torch.long, device=states.device)
            sent = sent.scatter_add(0, chosen.flatten(), torch.ones_like(chosen.flatten())).view(-1, here)
            got = torch.empty_like(sent)
            dist.all_to_all_single(got, sent, group=self.experts)
            gives, takes = torch.stack((sent.sum(dim=1), got.sum(dim=1))).tolist()
            mine = states.to(experts.gate_up_proj.dtype)[order // active]
            rows = _Swapped.apply(mine, gives, takes, self.experts)
            whose = (
                torch.arange(here, device=states.device)
                .repeat(len(got))
                .repeat_interleave(got.flatten(), output_size=sum(takes))
            )
            if not len(rows):
                # A sum over no rows keeps the other exchange a part of the backward pass.
                rows, whose = rows.sum(dim=0, keepdim=True), whose.new_zeros(1)
            part = Stacked(here, experts.gate_up_proj, experts.down_proj, experts._apply_gate)
            made = product(part, rows, whose[:, None], rows.new_ones(len(rows), 1))[: sum(takes)]
            back = _Swapped.apply(made, takes, gives, self.experts)
            back = torch.empty_like(back).index_copy(0, order, back).view(*chosen.shape, -1)
            return (back * weights[..., None].to(back.dtype)).sum(dim=1).to(kind)

        return exchanged


class _Swapped(torch.autograd.Function):
    """Rows (N, D), the first `gives[0]` for the first process and so on -> those that this one is given; gradients go
    the way back."""

    @staticmethod
    def forward(ctx, rows: Tensor, gives: list[int], takes: list[int], group: dist.ProcessGroup) -> Tensor:
        ctx.back = takes, gives, group
        got = rows.new_empty(sum(takes), rows.shape[1])
        dist.all_to_all_single(got, rows.contiguous(), takes, gives, group=group)
        return got

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return _Swapped.apply(gradient, *ctx.back), None, None, None


class _Averaged(torch.autograd.Function):
    """A weight, unchanged; its gradient is the mean over all processes. What reaches it covers those of one group."""

    @staticmethod
    def forward(ctx, weight: Tensor, copies: dist.ProcessGroup, count: int) -> Tensor:
        ctx.copies, ctx.count = copies, count
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        gradient = gradient / ctx.count
        if dist.get_world_size(ctx.copies) > 1:
            dist.all_reduce(gradient, group=ctx.copies)
        return gradient, None, None


def clipped(parameters: Iterable[nn.Parameter], most: float) -> Tensor:
    """Shortens the gradients of parameters to the length `most` where they are longer, together; their length before.

    As `clip_grad_norm_`, which cannot add up what lies on different processes. All processes have to ask.
    """
    alike: dict[DeviceMesh | None, list[nn.Parameter]] = {}
    for one in parameters:
        if one.grad is not None:
            alike.setdefault(one.grad.device_mesh if isinstance(one.grad, DTensor) else None, []).append(one)
    norms = [get_total_norm([one.grad for one in group]) for group in alike.values()]
    total = torch.stack([one.full_tensor() if isinstance(one, DTensor) else one for one in norms]).norm()
    for mesh, group in alike.items():
        clip_grads_with_norm_(group, most, total if mesh is None else DTensor.from_local(total, mesh, run_check=False))
    return total
