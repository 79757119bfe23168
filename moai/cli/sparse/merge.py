"""`moai merge`."""

from typing import Annotated

import typer

from moai.cli.options import Device
from moai.cli.sparse.measuring import Cache, Data, Pictures, Silent, batches, write
from moai.cli.sparse.models import Target, check_target, stored


def merge(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="with sparse layers: a name, folder or hub id")],
    target: Target,
    others: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="MODEL", help="put its experts beside those of MODEL (may be repeated)"),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(metavar="K", help="make K experts of each sparse layer's, each the mean of alike ones")
    ] = None,
    rest: Annotated[
        str,
        typer.Option(metavar="first|mean", help="with --with: other weights are MODEL's, or the mean of all models'"),
    ] = "first",
    active: Annotated[
        int | None,
        typer.Option(metavar="N", help="with --with: experts that a token takes (default: all models' together)"),
    ] = None,
    data: Data = "drawn",
    pictures: Pictures = 32,
    cache: Cache = None,
    silent: Silent = False,
    device: Device = None,
):
    """Bring experts together: those of several models in one, or alike ones of a model as their mean.

    Says what that costs and saves.
    """
    if not others and keep is None:
        raise ValueError("say what is merged: --with MODEL, --keep K, or both")
    if not others and (rest != "first" or active is not None):
        raise ValueError("--rest and --active are for several models; name another one with --with")
    check_target(target)
    first, processor = stored(model)
    from moai.loading import device_named
    from moai.models.sparse.merge import aggregate, check_merged
    from moai.models.sparse.merge import merge as merged
    from moai.models.sparse.remaking import sparse_layers_of
    from moai.training.usage import Measured

    sparse_layers_of(first)
    made = first
    if others:
        made = aggregate([first, *(stored(name)[0] for name in others)], rest, active)
    if keep is not None:
        check_merged(keep, made.config.sparse_experts)
    place = device_named(device)
    chosen, measured = batches(first, processor, data, pictures, cache, silent)
    costs = [Measured(first.to(place), processor).cost("before", measured)]
    made = made.to(place)
    if keep is not None:
        made = merged(made, keep, Measured(made, processor).importance("load", chosen))
    costs.append(Measured(made, processor).cost("after", measured))
    write(made, processor, target, costs)
