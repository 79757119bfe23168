"""`moai prune`."""

from typing import Annotated

import typer

from moai.cli.options import Device
from moai.cli.sparse.measuring import Cache, Data, Pictures, Silent, batches, write
from moai.cli.sparse.models import Target, check_target, stored


def prune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="with sparse layers: a name, folder or hub id")],
    target: Target,
    keep: Annotated[int, typer.Option(metavar="K", help="routed experts that each sparse layer keeps")],
    by: Annotated[
        str,
        typer.Option(
            metavar="load|task|random",
            help="keep those that tokens were given to most, those that the answers rest on most, or any",
        ),
    ] = "load",
    data: Data = "drawn",
    pictures: Pictures = 32,
    cache: Cache = None,
    silent: Silent = False,
    seed: Annotated[int, typer.Option(metavar="N", help="of --by random")] = 0,
    device: Device = None,
):
    """Leave out routed experts, and say what that costs and saves."""
    check_target(target)
    dense, processor = stored(model)
    from moai.loading import device_named
    from moai.models.sparse.prune import check_keep
    from moai.models.sparse.prune import prune as pruned
    from moai.models.sparse.remaking import sparse_layers_of
    from moai.training.usage import Measured

    sparse_layers_of(dense)
    check_keep(keep, dense.config.sparse_experts, dense.config.sparse_active)
    place = device_named(device)
    chosen, measured = batches(dense, processor, data, pictures, cache, silent)
    before = Measured(dense.to(place), processor)
    importance = before.importance(by, chosen, seed)
    made = pruned(dense, keep, importance)
    costs = [before.cost("before", measured), Measured(made, processor).cost("after", measured)]
    write(made, processor, target, costs)
