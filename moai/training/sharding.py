"""Training on several processes, which torchrun starts: who is who, and a model split over all of them (FSDP2).

Started alone, a process trains by itself, whatever the settings say of several.
"""

import os
from collections.abc import Callable, Mapping

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, Replicate

from moai.training.experiment import ModelExperiment
from moai.training.objective import MoAIObjective


def place() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def on_cpu() -> bool:
    """Whether several processes have to work on the CPU, for want of GPUs."""
    return place()[1] > 1 and not torch.cuda.is_available()


def joined() -> torch.device:
    """Where this process works, once it knows the others."""
    return PartialState(cpu=on_cpu()).device


def left() -> None:
    """The end of what `joined` began."""
    PartialState().destroy_process_group()


def shared(number: float, device: torch.device) -> float:
    """The first process's number, on all of them."""
    told = torch.tensor(number, dtype=torch.float64, device=device)
    torch.distributed.broadcast(told, src=0)
    return float(told)


def samples_a_batch(stage: ModelExperiment, rows_per_sample: int, count: int) -> int:
    """Samples that one of `count` processes reads at a time; raises ValueError where a step's cannot be shared out."""
    samples, parts = max(stage.rows // rows_per_sample, 1), count * stage.accumulate
    if samples % parts:
        raise ValueError(
            f"a step has {samples} samples ({stage.rows} rows, {rows_per_sample} a sample), which cannot be shared "
            f"evenly by {count} processes x {stage.accumulate} parts (accumulate)"
        )
    return samples // parts


def split(objective: MoAIObjective, device: torch.device) -> None:
    """Splits every parameter over all processes, in place; a layer is whole only while it runs (`fully_shard`).

    Frozen and trained parameters keep the precision they have. device: where this process works. Answers are then
    given by `objective.generate` alone, on all processes at once.
    """
    model, mesh = objective.model, init_device_mesh(device.type, (place()[1],))
    spread = {one for one in model.parameters() if isinstance(one, DTensor)}  # experts that are shared out already
    model.scalars = frozenset(name for name, one in model.named_parameters() if not one.ndim)
    for module in objective.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.ndim:  # cannot be split; a row of one can
                setattr(module, name, nn.Parameter(parameter.detach().reshape(1), parameter.requires_grad))
    # Whole units are what one forward pass calls as one module; what is left goes with the root.
    for unit in (*model.language_model.layers, *model.mixers.values(), model.compressor, model.vision):
        fully_shard(unit, mesh=mesh, ignored_params=spread)
    fully_shard(objective, mesh=mesh, ignored_params=spread)
    register_fsdp_forward_method(objective, "generate")


def is_split(module: nn.Module) -> bool:
    """Whether `split` was called with it."""
    return isinstance(module, FSDPModule)


def whole(tensor: Tensor) -> Tensor:
    """The tensor with the parts of all processes, which must all ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """A whole tensor, the same on all processes, split as `other` is."""
    if not isinstance(other, DTensor):
        return tensor
    copies = [Replicate()] * other.device_mesh.ndim
    spread = DTensor.from_local(tensor.to(other.device), other.device_mesh, copies, run_check=False)
    return spread.redistribute(other.device_mesh, other.placements)


def gathered(module: nn.Module, tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Whole copies of tensors of `module` on the CPU, one after the other; nothing where not `keep`. All processes must
    ask."""
    scalars = getattr(module, "scalars", ())  # which `split` made rows of one
    kept = {}
    for name, tensor in tensors.items():
        full = whole(tensor.detach())
        if keep:
            kept[name] = full.cpu().reshape(()) if name in scalars else full.cpu()
    return kept


def gathered_state(state: dict) -> dict:
    """An optimiser's `state_dict` with whole tensors, as a single process has it."""
    return _each(state, lambda key, one: whole(one))


def spread_state(state: dict, optimizer: torch.optim.Optimizer) -> dict:
    """What `gathered_state` gave, split as the parameters of `optimizer` are."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    return _each(state, lambda key, one: like(one.reshape(parameters[key].shape), parameters[key]))


def _each(state: dict, change: Callable[[int, Tensor], Tensor]) -> dict:
    # Of a parameter's state, `step` alone is not of its shape.
    changed = {
        key: {name: one if name == "step" else change(key, one) for name, one in values.items()}
        for key, values in state["state"].items()
    }
    return state | {"state": changed}
