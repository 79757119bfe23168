"""What `ask` and `perceive` print about a scene."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perception import Scene
from perception.registry import kinds


def plain(text: str) -> Text:
    """Words from a picture must not be read as markup."""
    return Text(text)


def table(title: str, *columns: str) -> Table:
    """An empty table in the style of the command line; a column `score` stands on the right."""
    made = Table(title=title, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column == "score" else "left", overflow="fold")
    return made


def scene_table(scene: Scene) -> Table:
    """One row for each thing that an expert found; an expert that ran and found nothing says so."""
    rows = table("What the experts saw", "expert", "saw", "where", "score")
    for kind in kinds():
        found = kind.findings(scene)
        if not found and kind.name not in scene.timings:
            continue
        for number, one in enumerate(found):
            place = "" if one.box is None else "[" + ", ".join(f"{value:.2f}" for value in one.box) + "]"
            # An empty first column groups the rows of one expert.
            label, last = "" if number else kind.label, number == len(found) - 1
            rows.add_row(label, plain(one.what), place, f"{one.score:.2f}", end_section=last)
        if not found:
            rows.add_row(kind.label, "nothing", "", "", end_section=True)
    return rows


def print_notes(console: Console, warnings: list[str], timings: dict[str, float]) -> None:
    """The warnings, and the seconds of each stage."""
    for warning in warnings:
        console.print(plain(f"warning: {warning}"), style="yellow")
    console.print(plain("seconds: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in timings.items())))
