"""`python -m tests.robustness [PART ...]`: the campaign at length, and its figures as a table."""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.robustness import sent
from tests.robustness.pictures import Odd, pictures
from tests.robustness.started import started
from tests.robustness.tally import Tally, table, write

PARTS = ("load", "ask", "page", "server", "parameters", "folders", "experts", "crowd", "disk", "memory", "kills")
_SERVER = ["-m", "moai", "serve", "--model", "moai-nano"]


def main() -> int:
    """Runs the parts that are asked for, prints the table, then what went wrong; status 1 when something did."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--pictures", type=int, default=1000, help="malformed pictures at each of the first four")
    parser.add_argument("--folders", type=int, default=300, help="changed model folders")
    parser.add_argument("--experts", type=int, default=300, help="experts that misbehave")
    parser.add_argument("--requests", type=int, default=400, help="requests of the crowd")
    parser.add_argument("--clients", type=int, default=16, help="clients of the crowd at once")
    parser.add_argument("--questions", type=int, default=1000, help="questions over which memory is watched")
    parser.add_argument("--kills", type=int, default=20, help="processes that are killed in the middle")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures into the table of this page")
    given = parser.parse_args()
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"there is no part {part!r}; allowed are {', '.join(PARTS)}")
    warnings.simplefilter("ignore")  # Pillow's about the pictures
    tallies = []
    for part in given.parts or PARTS:
        try:
            for tally in timed(_RUN[part](given)):
                tallies.append(tally)
                _tell(tally)
                if given.write is not None:
                    write(given.write, [tally])
        except Exception as error:  # a part that cannot be tried does not keep the others from it
            tallies.append(Tally(part, tried=1))
            tallies[-1].lose(part, f"could not be tried: {error}")
            _tell(tallies[-1])
    print(f"\n{table(tallies)}")
    return 0 if all(tally.clean for tally in tallies) else 1


def _tell(tally: Tally) -> None:
    print(f"{tally.name}: {tally.tried} tried, {tally.lost} lost ({tally.seconds:.0f} s)", flush=True)
    for fault in tally.faults:
        print(f"  {fault}", flush=True)


def timed(tallies: Iterator[Tally]) -> Iterator[Tally]:
    """The tallies, each with the seconds that it took."""
    began = time.perf_counter()
    for tally in tallies:
        tally.seconds = time.perf_counter() - began
        yield tally
        began = time.perf_counter()


def _files(given, door: str) -> tuple[Iterable[Odd], str]:
    command = f"{door} --pictures {given.pictures} --seed {given.seed}"
    return pictures(given.pictures, given.seed), command


def _load(given) -> Iterator[Tally]:
    yield sent.loaded(*_files(given, "load"))


def _ask(given) -> Iterator[Tally]:
    from moai import MoAI

    yield sent.asked(MoAI.from_pretrained("moai-nano"), *_files(given, "ask"))


def _page(given) -> Iterator[Tally]:
    with started(_SERVER) as server:
        yield sent.paged(server, *_files(given, "page"))


def _server(given) -> Iterator[Tally]:
    with started(_SERVER) as server:
        yield sent.posted(server, *_files(given, "server"))


def _parameters(given) -> Iterator[Tally]:
    from moai import MoAI
    from tests.robustness.parameters import parameters

    yield parameters(MoAI.from_pretrained("moai-nano"), "examples/street.png", given.seed)


def _folders(given) -> Iterator[Tally]:
    from tests.robustness.folders import folders

    yield folders(given.folders, given.seed)


def _experts(given) -> Iterator[Tally]:
    from moai import MoAI
    from tests.robustness.experts import experts

    yield experts(given.experts, given.seed, MoAI.from_pretrained("moai-nano"))


def _crowd(given) -> Iterator[Tally]:
    from tests.robustness.crowd import crowd

    with started(_SERVER) as server:
        yield crowd(server, given.requests, given.clients, given.seed)


def _disk(given) -> Iterator[Tally]:
    from tests.robustness.disk import disk

    yield disk(given.seed)


def _memory(given) -> Iterator[Tally]:
    from tests.robustness.memory import memory

    with started(_SERVER) as server:
        yield memory(server, given.questions, given.seed)


def _kills(given) -> Iterator[Tally]:
    from tests.robustness.batches import batches, deadly
    from tests.robustness.kills import CAMPAIGNS, kill

    command = f"kills --kills {given.kills} --seed {given.seed}"
    for name in CAMPAIGNS:
        with tempfile.TemporaryDirectory() as folder:
            made = kill(name, Path(folder), given.kills, given.seed)
        tally = Tally(f"{name.capitalize()} killed", command, tried=made.runs, accepted=made.runs - made.faults)
        tally.lost = made.faults
        tally.notes.append(f"killed {made.kills} times")
        if made.faults:
            tally.faults.append(f"{made}")
        yield tally
    yield batches(given.kills, given.seed)
    yield deadly(20, given.seed)


_RUN: dict[str, Callable[[argparse.Namespace], Iterator[Tally]]] = {
    "load": _load,
    "ask": _ask,
    "page": _page,
    "server": _server,
    "parameters": _parameters,
    "folders": _folders,
    "experts": _experts,
    "crowd": _crowd,
    "disk": _disk,
    "memory": _memory,
    "kills": _kills,
}

if __name__ == "__main__":
    sys.exit(main())
