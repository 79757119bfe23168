"""The command line: `moai ask`, `moai perceive`, `moai convert`."""

import argparse
import json
import logging
import os
import sys
import warnings
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    top = argparse.ArgumentParser(
        prog="moai", description="Ask questions about pictures and see the evidence for each answer."
    )
    commands = top.add_subparsers(dest="command", required=True)

    ask = commands.add_parser("ask", help="answer a question about a picture")
    ask.add_argument("picture", help="a picture file")
    ask.add_argument("question")
    ask.add_argument("--json", action="store_true", help="print everything as JSON")
    ask.add_argument("--model", help="folder or hub id of a MoAI model (default: the embedded one)")
    ask.add_argument("--experts", default="seg,det,sgg,ocr", help="experts to listen to (default: %(default)s)")
    ask.add_argument("--no-moai", action="store_true", help="ask the plain backbone, without experts")
    ask.add_argument("--max-new-tokens", type=int, default=96, help="longest answer (default: %(default)s)")
    ask.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default: %(default)s)")
    ask.add_argument("--device", help="cpu, cuda, ... (default: cuda where there is one)")
    ask.add_argument("--quantize", metavar="TIER", help="bf16, int8 or int4: a language model that needs less memory")

    perceive = commands.add_parser("perceive", help="show what the experts see in a picture")
    perceive.add_argument("picture", help="a picture file")
    perceive.add_argument("--json", action="store_true", help="print everything as JSON")
    perceive.add_argument("--draw", metavar="OUT.png", type=Path, help="write the annotated picture")
    perceive.add_argument("--experts", default="seg,det,sgg,ocr", help="experts to run (default: %(default)s)")
    perceive.add_argument("--ocr", default="rapidocr", help="rapidocr or paddleocr (default: %(default)s)")
    perceive.add_argument("--segmentation", help="other ultralytics weights, by name or path")
    perceive.add_argument("--detection", help="other ultralytics weights, by name or path")

    convert = commands.add_parser("convert", help="turn a checkpoint of the paper's authors into this layout")
    convert.add_argument("source", type=Path, help="folder with *.safetensors or *.bin shards and their tokenizer")
    convert.add_argument("target", type=Path, help="folder to write")
    convert.add_argument("--sizes", type=Path, help="JSON file with the checkpoint's sizes (default: MoAI-7B)")
    return top


def _scene_view(scene):
    """The scene as a rich table, one row for each thing an expert said."""
    from rich.table import Table

    table = Table(title="What the experts saw", title_justify="left", pad_edge=False)
    for column in ("expert", "saw", "where", "score"):
        table.add_column(column, justify="right" if column == "score" else "left", overflow="fold")

    def place(box) -> str:
        return "" if box is None else "[" + ", ".join(f"{value:.2f}" for value in box) + "]"

    parts = (
        ("segmentation", [(one.label, one.box, one.score) for one in scene.segments]),
        ("detection", [(one.label, one.box, one.score) for one in scene.detections]),
        (
            "scene graph",
            [
                (f"{scene.objects[one.subject]} {one.predicate} {scene.objects[one.object]}", None, one.score)
                for one in scene.relations
            ],
        ),
        ("OCR", [(one.text, one.box, one.score) for one in scene.text_lines]),
    )
    for name, rows in parts:
        for number, (what, box, score) in enumerate(rows or [("nothing", None, None)]):
            shown = "" if score is None else f"{score:.2f}"
            # An empty first column groups the rows of one expert.
            table.add_row("" if number else name, _plain(what), place(box), shown, end_section=number == len(rows) - 1)
    return table


def _plain(text: str):
    from rich.text import Text

    return Text(text)  # words from a picture must not be read as markup


def _print_timings(console, timings: dict[str, float]) -> None:
    console.print(_plain("seconds: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in timings.items())))


def run_ask(arguments: argparse.Namespace) -> None:
    """`moai ask`."""
    from rich.console import Console

    from moai.assistant import Decoding, MoAI

    if not arguments.question.strip():
        raise ValueError("the question is empty; ask something about the picture")
    from perception import load_image

    # Before the models load, so that a typo is told at once.
    decoding = {"max_new_tokens": arguments.max_new_tokens, "temperature": arguments.temperature}
    Decoding(**decoding)
    picture = load_image(arguments.picture)
    assistant = MoAI.from_pretrained(arguments.model, arguments.experts, arguments.device, quantize=arguments.quantize)
    answer = assistant.ask(
        picture,
        arguments.question,
        moai=not arguments.no_moai,
        **decoding,
    )
    if arguments.json:
        print(json.dumps(answer.to_dict(), ensure_ascii=False, indent=1))
        return
    console = Console()
    console.print(_plain(answer.text), style="bold")
    console.print()
    if not arguments.no_moai:
        console.print(_scene_view(answer.scene))
    if answer.gates:
        from rich.table import Table

        table = Table(title="Whom the model listened to", title_justify="left", pad_edge=False)
        for column in ("layer", "image tokens: aux / language / self", "language tokens: aux / image / self"):
            table.add_column(column)
        for gate in answer.gates:
            shares = (" / ".join(f"{share:.0%}" for share in side.values()) for side in (gate.image, gate.language))
            table.add_row(str(gate.layer), *shares)
        console.print(table)
    for warning in answer.scene.warnings:
        console.print(_plain(f"warning: {warning}"), style="yellow")
    _print_timings(console, answer.timings)


def run_perceive(arguments: argparse.Namespace) -> None:
    """`moai perceive`."""
    from rich.console import Console

    from perception import Perception, load_image, verbalize
    from perception.draw import draw
    from perception.registry import expert_names

    picture = load_image(arguments.picture)
    backends = {name: getattr(arguments, name) for name in ("segmentation", "detection") if getattr(arguments, name)}
    perception = Perception(experts=expert_names(arguments.experts), ocr=arguments.ocr, **backends)
    scene = perception(picture)
    if arguments.draw is not None:
        try:
            draw(picture, scene).save(arguments.draw)
        except (OSError, ValueError) as error:
            raise ValueError(f"cannot write the annotated picture to {arguments.draw}: {error}") from error
    if arguments.json:
        print(json.dumps(scene.to_dict() | {"words": verbalize(scene)}, ensure_ascii=False, indent=1))
        return
    console = Console()
    console.print(_scene_view(scene))
    console.print(_plain("words for the compressor: " + (verbalize(scene).strip() or "none")))
    for warning in scene.warnings:
        console.print(_plain(f"warning: {warning}"), style="yellow")
    _print_timings(console, scene.timings)


def run_convert(arguments: argparse.Namespace) -> None:
    """`moai convert`."""
    from moai.models.convert import convert_folder

    sizes = None
    if arguments.sizes is not None:
        try:
            sizes = json.loads(arguments.sizes.read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f"the sizes file {arguments.sizes} cannot be read as JSON") from error
    convert_folder(arguments.source, arguments.target, sizes)
    print(f"wrote {arguments.target}")


def quiet_libraries() -> None:
    """Libraries' chatter stays out of the answer; our own messages do not go through logging."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 when it went well, 2 after one sentence on standard error when it did not."""
    arguments = parser().parse_args(argv)
    quiet_libraries()
    run = {"ask": run_ask, "perceive": run_perceive, "convert": run_convert}[arguments.command]
    try:
        run(arguments)
    except (ValueError, OSError, ImportError) as error:
        print(f"moai: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
