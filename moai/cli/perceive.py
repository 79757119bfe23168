"""`moai perceive`."""

from pathlib import Path
from typing import Annotated

import typer

from moai.cli.options import Experts, ExpertsFrom, Json, Picture, Swaps
from moai.terminal import print_json, quiet_libraries

Weights = Annotated[str | None, typer.Option(metavar="WEIGHTS", help="other ultralytics weights, by name or path")]


def perceive(
    picture: Picture,
    json: Json = False,
    draw: Annotated[Path | None, typer.Option(metavar="OUT.png", help="write the annotated picture")] = None,
    experts: Experts = None,
    experts_from: ExpertsFrom = None,
    expert: Swaps = None,
    segmentation: Weights = None,
    detection: Weights = None,
    ocr: Annotated[str | None, typer.Option(metavar="NAME", help="rapidocr or paddleocr")] = None,
):
    """Show what the experts see in a picture."""
    quiet_libraries()
    from perception import Perception, load_image, verbalize
    from perception.presets import swaps_of

    image = load_image(picture)
    chosen = {"segmentation": segmentation, "detection": detection, "ocr": ocr, "experts_from": experts_from}
    chosen |= swaps_of(expert or ())
    perception = Perception(experts=experts, **{name: one for name, one in chosen.items() if one is not None})
    scene = perception(image)
    if draw is not None:
        from perception.draw import draw as drawn

        try:
            drawn(image, scene).save(draw)
        except (OSError, ValueError) as error:
            raise ValueError(f"cannot write the annotated picture to {draw}: {error}") from error
    if json:
        print_json(scene.to_dict() | {"words": verbalize(scene)})
        return
    from rich.console import Console

    from moai.cli.tables import plain, print_notes, scene_table

    console = Console()
    console.print(scene_table(scene))
    console.print(plain("words for the compressor: " + (verbalize(scene).strip() or "none")))
    print_notes(console, scene.warnings, scene.timings)
