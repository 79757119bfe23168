"""`moai perceive`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from moai.cli.options import TIME_LIMIT, Experts, ExpertsFrom, Json, Swaps, TimeLimit, TrustPickles, looking
from moai.terminal import print_json, quiet_libraries

Weights = Annotated[str | None, typer.Option(metavar="WEIGHTS", help="other ultralytics weights, by name or path")]


def perceive(
    picture: Annotated[str | None, typer.Argument(metavar="PICTURE", help="a picture file", show_default=False)] = None,
    json: Json = False,
    draw: Annotated[Path | None, typer.Option(metavar="OUT.png", help="write the annotated picture")] = None,
    experts: Experts = None,
    experts_from: ExpertsFrom = None,
    expert: Swaps = None,
    time_limit: TimeLimit = TIME_LIMIT,
    trust_pickles: TrustPickles = False,
    segmentation: Weights = None,
    detection: Weights = None,
    ocr: Annotated[str | None, typer.Option(metavar="NAME", help="rapidocr or paddleocr")] = None,
    all: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="look at every picture of a folder, of LLaVA's JSON or chat messages (.json, .jsonl), or of an "
            "experiment's data (.yaml), and keep what is seen",
        ),
    ] = None,
    cache: Annotated[Path | None, typer.Option(metavar="DIR", help="with --all: the folder that keeps it")] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="with --all: the pictures' folder (default: beside the file)")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="with --all: processes that look side by side")] = 1,
):
    """Show what the experts see in a picture, or keep what they see in many."""
    quiet_libraries()
    if all is not None:
        if picture is not None or json or draw or experts or expert or segmentation or detection or ocr:
            raise ValueError(
                "with --all, only --cache, --images, --experts-from, --time-limit, --trust-pickles and --workers "
                "can be given"
            )
        from moai.cli.perceive_all import perceive_all

        return perceive_all(all, cache, images, experts_from, workers, looking(None, time_limit, trust_pickles))
    if picture is None or cache is not None or images is not None:
        raise ValueError("give one picture, or --all SOURCE --cache DIR; `moai perceive --help` says what is allowed")
    from moai.presets import named_preset
    from perception import Perception, load_image, verbalize

    image = load_image(picture)
    preset = experts_from or named_preset()
    chosen: dict[str, Any] = {"segmentation": segmentation, "detection": detection, "ocr": ocr, "experts_from": preset}
    chosen |= looking(expert, time_limit, trust_pickles)
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
