"""Imports go one way and in no circle, files and folders stay small."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
MAX_FILES = 15

# What each room must not import, itself apart: arrows go from a user interface to the assistant, and on to the models.
INTERFACES = ("moai.web", "moai.serving", "moai.cli")
WORK = ("moai.evaluation", "moai.profiling", "moai.training")
ASSISTANT = ("moai.assistant", "moai.answers", "moai.loading", "moai.streaming", "moai.wording")
FORBIDDEN = {
    "weights": ("moai", "perception"),
    "perception": ("moai",),
    "moai.models": ("moai.inference", "moai.data", *ASSISTANT, *WORK, *INTERFACES),
    "moai.inference": ("moai.data", *ASSISTANT, *WORK, *INTERFACES),
    "moai.data": ("moai.inference", *ASSISTANT, *WORK, *INTERFACES),
    **dict.fromkeys(ASSISTANT, ("moai.data", *WORK, *INTERFACES)),
    "moai.training": ("moai.profiling", *INTERFACES),  # it scores what it trained by a suite of evaluation
    "moai.evaluation": ("moai.training", "moai.profiling", *INTERFACES),
    "moai.profiling": INTERFACES,
    "moai.web": ("moai.data", "moai.training", "moai.evaluation", "moai.profiling", "moai.cli"),
}
DRAWN_WORLD = "moai.data.drawn"
ABOUT_THE_DRAWN_WORLD = (
    "moai.evaluation.drawn",  # the suite that asks about it
    "moai.training.experts",  # trains the embedded experts, which know nothing else
    "moai.profiling.perception",  # measures on its pictures, of which there are as many as one likes
    "moai.training.run",  # the embedded model starts from its words
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> dict[str, Path]:
    """Every module of the project, by its name."""
    paths = [path for room in ("moai", "perception", "weights", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    return {module_name(path): path for path in [*paths, ROOT / "app.py", ROOT / "train.py"]}


def imported(tree: ast.AST, module: str, is_package: bool, known: set[str]) -> set[tuple[str, int]]:
    """Modules of `known` that a module imports, also inside functions, with lines; type checkers' imports left out.

    Names that a registry holds in words are no imports: they are how those at the bottom reach what is added on top.
    """
    found = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            # What is imported from a package may be a module of it, or something that the package itself holds.
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            names = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        found |= {(name, node.lineno) for name in names if name in known and name != module}
    return found


@cache
def edges() -> dict[str, dict[str, int]]:
    """Module -> modules that it imports, with the line of the import."""
    known = set(sources())
    return {
        name: dict(imported(ast.parse(path.read_text()), name, path.name == "__init__.py", known))
        for name, path in sources().items()
    }


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def described(module: str, target: str) -> str:
    place = sources()[module].relative_to(ROOT)
    return f"{place}:{edges()[module][target]} imports {target}"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_go_one_way(room):
    wrong = [
        f"{described(module, target)}, but {room} must not know {closed}"
        for module, targets in edges().items()
        if within(module, room)
        for target in targets
        for closed in FORBIDDEN[room]
        if within(target, closed) and not within(target, room)
    ]
    assert not wrong, "\n".join(wrong)


def test_few_know_the_drawn_world():
    # The registry of sources names it in words, as it does all of them.
    wrong = [
        f"{described(module, target)}, which only {', '.join(ABOUT_THE_DRAWN_WORLD)} may know"
        for module, targets in edges().items()
        if not any(within(module, room) for room in (DRAWN_WORLD, *ABOUT_THE_DRAWN_WORLD))
        for target in targets
        if within(target, DRAWN_WORLD)
    ]
    assert not wrong, "\n".join(wrong)


def circles(graph: dict[str, dict[str, int]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or by way of others (Tarjan's strong components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for target in graph[module]:
            if target not in order:
                visit(target)
            if target in stack:
                low[module] = min(low[module], low[target])
        if low[module] == order[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(group)

    for module in graph:
        if module not in order:
            visit(module)
    return found


def test_no_circle_of_imports():
    wrong = [
        "; ".join(described(module, target) for module in group for target in edges()[module] if target in group)
        for group in circles(edges())
    ]
    assert not wrong, "\n".join(wrong)


def test_a_circle_is_found_and_so_are_hidden_imports():
    graph = {"a": {"b": 1}, "b": {"c": 1}, "c": {"b": 1, "d": 1}, "d": {}}
    assert [set(group) for group in circles(graph)] == [{"b", "c"}]
    code = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import p.types
def later():
    from . import near
    from ..q import thing
    from p.r import one
    import_module("p.lazy")
"""
    known = {"p.types", "p.s.near", "p.q", "p.r.one", "p.lazy"}
    found = imported(ast.parse(code), "p.s.module", False, known)
    assert {name for name, _ in found} == {"p.s.near", "p.q", "p.r.one", "p.lazy"}


def python_files() -> list[Path]:
    return sorted([*sources().values(), *(ROOT / "tests").rglob("*.py")])


def test_files_are_short():
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in python_files()}
    long = [f"{path} has {count} lines, over {MAX_LINES}" for path, count in lengths.items() if count > MAX_LINES]
    assert not long, "\n".join(long)


def test_folders_are_small():
    counts: dict[Path, int] = defaultdict(int)
    for path in python_files():
        counts[path.parent.relative_to(ROOT)] += path.name != "__init__.py"
    full = [f"{path} has {count} modules, over {MAX_FILES}" for path, count in counts.items() if count > MAX_FILES]
    assert not full, "\n".join(full)
