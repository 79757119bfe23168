"""`moai upcycle`."""

from typing import Annotated

import typer

from moai.cli.sparse.models import Target, check_target, millions, stored


def upcycle(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="the dense model: a name, folder or hub id")],
    target: Target,
    parts: Annotated[int, typer.Option(metavar="N", help="each feed-forward is cut into this many experts")] = 4,
    shared: Annotated[int, typer.Option(metavar="N", help="of the parts that every token passes")] = 1,
    copies: Annotated[int, typer.Option(metavar="N", help="of each other part, among which the router chooses")] = 8,
    fresh: Annotated[
        float, typer.Option(metavar="SHARE", help="of each routed expert's hidden units that are drawn anew")
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="of the router and of what is fresh")] = 0,
    first: Annotated[int, typer.Option(metavar="LAYER", help="0-based decoder layer that sparse layers begin at")] = 1,
):
    """Make a model with sparse layers of a dense one.

    Without --fresh it answers exactly as the dense one does. Then: moai train with balance_weight=0.01.
    """
    check_target(target)
    model, processor = stored(source)
    from moai.models.sparse.upcycle import upcycle as made_of

    made = made_of(model, parts, shared, copies, fresh, seed, first)
    made.save_pretrained(target)
    processor.save_pretrained(target)
    config = made.config
    print(
        f"wrote {target}: {millions(made)} (dense: {millions(model)}), layers {first} to "
        f"{config.text_config.num_hidden_layers - 1} with {config.sparse_shared} shared and {config.sparse_experts} "
        f"routed experts of width {config.sparse_width}, {config.sparse_active} of them active"
    )
