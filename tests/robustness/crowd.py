"""Many clients at once at the page and the server: each gets the answer to its own question."""

import json
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.robustness.asking import Asker, Busy, Lost
from tests.robustness.pictures import pictures
from tests.robustness.started import ROOT, Started
from tests.robustness.tally import Tally, unfit

LONG = "Describe the picture."
QUESTIONS = ("What does the sign say?", "How many hammers do you see?", "Is there a dog?")
TIRED = 40
"""Times that a client comes back to a server that is busy."""


def crowd(server: Started, requests: int, clients: int, seed: int, api: bool = True) -> Tally:
    """`requests` of `clients` at once, mixed by the seed: questions with known answers to the page and, where there is
    an `api`, to the server, streamed or not; malformed pictures; and clients that hang up in the middle.

    `mixed` are answers to another question than was asked.
    """
    tally = Tally(
        "Crowd",
        f"crowd --requests {requests} --clients {clients} --seed {seed}",
    )
    known = _alone(Asker(server.address), api)
    odd = [one for one in pictures(200, seed) if not one.whole]
    lock, waited, gone, busy = threading.Lock(), [], [0], [0]

    def one(number: int) -> None:
        random = Random(f"{seed} {number}")
        asker = Asker(server.address)
        way = random.choice(("page", "server", "stream", "server", "stream") if api else ("page",))
        kind = random.random()
        what = f"{number} {way}"
        began = time.perf_counter()
        try:
            if kind < 0.12:
                picture = random.choice([content for content, _ in known])
                (asker.leave_page if way == "page" else asker.leave_server)(picture, LONG)
                with lock:
                    gone[0] += 1
                    tally.tried += 1
                    tally.accepted += 1
                return
            if kind < 0.24:
                file = random.choice(odd)
                what += f" {file.what}"
                _patiently(lambda: _ask(asker, way, file.content, QUESTIONS[0]), busy)
                told = None
            else:
                (picture, question), expected = random.choice(list(known.items()))
                said = _patiently(lambda: _ask(asker, way, picture, question), busy)
                with lock:
                    waited.append(time.perf_counter() - began)
                    if said != expected:
                        tally.mixed += 1
                        tally.faults.append(f"{what}: {question} was answered {said!r}, alone {expected!r}")
                told = None
        except ValueError as error:
            told = str(error)
        except Exception as error:
            with lock:
                tally.tried += 1
                tally.lose(what, f"{type(error).__name__}: {error}")
            return
        finally:
            asker.close()
        with lock:
            tally.tried += 1
            if told is None:
                tally.accepted += 1
            elif kind >= 0.24:
                tally.lose(what, f"a good question was refused: {told}")
            elif why := unfit(told):
                tally.lose(what, f"the refusal {why}: {told[:200]!r}")
            else:
                tally.refused += 1

    before = server.memory()
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(requests)))
    seconds = time.perf_counter() - began
    if waited:
        slowest = statistics.quantiles(waited, n=20)[-1] if len(waited) > 1 else waited[0]
        tally.notes.append(
            f"p50 {statistics.median(waited):.1f} s, p95 {slowest:.1f} s, {requests / seconds:.1f} a second"
        )
    tally.notes.append(f"{gone[0]} hung up, {busy[0]} times told to come back, {server.memory() - before:+.0f} MiB")
    for _ in range(server.log.count("Traceback")):
        tally.lose("log", "a traceback stands in it")
    if _alone(Asker(server.address), api) != known:
        tally.lose("afterwards", "the same questions get other answers")
    return tally


def _ask(asker: Asker, way: str, picture: bytes, question: str) -> str:
    if way == "page":
        return asker.page(picture, question)
    return asker.server(picture, question, stream=way == "stream", max_tokens=96)


def _patiently(ask: Callable[[], str], busy: list[int]) -> str:
    for _ in range(TIRED):
        try:
            return ask()
        except Busy:
            busy[0] += 1
            time.sleep(1.0)
    raise Lost(f"told {TIRED} times to come back later")


def _alone(asker: Asker, api: bool) -> dict[tuple[bytes, str], str]:
    """What is answered to one who asks alone, by picture and question; the same wherever it is asked."""
    known = {}
    for example in json.loads((ROOT / "examples" / "examples.json").read_text()):
        picture = (ROOT / "examples" / example["picture"]).read_bytes()
        for question in {*QUESTIONS, example["question"]}:
            known[picture, question] = asker.page(picture, question)
            if api and (said := asker.server(picture, question, max_tokens=96)) != known[picture, question]:
                raise RuntimeError(f"{question} the page answers {known[picture, question]!r}, the server {said!r}")
    asker.close()
    return known
