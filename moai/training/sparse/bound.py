"""The capacity of a sparse model's experts while it trains."""

from torch import nn

from moai.models.sparse.capacity import Capacity
from moai.models.sparse.layer import sparse_layers
from moai.training.stages import Stage


def bound(model: nn.Module, stage: Stage) -> None:
    """Gives the experts of a model the stage's capacity, in place; without one nothing happens.

    Raises ValueError with one sentence for a model without sparse layers.
    """
    if stage.capacity is None:
        return
    layers = sparse_layers(model).values()
    if not layers:
        raise ValueError(
            "capacity is for experts of sparse layers, which this model has none of; `moai upcycle` makes them"
        )
    if stage.capacity < 1:
        print(f"capacity {stage.capacity:g} drops at least {1 - stage.capacity:.0%} of all routes", flush=True)
    for layer in layers:
        layer.capacity = Capacity(stage.capacity, stage.capacity_by)
