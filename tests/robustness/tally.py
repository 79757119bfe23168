"""Counts of a campaign: what was tried, and how it ended."""

import json
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 20.0
"""Seconds of computing that one trial may take; a machine that is busy with others does not count."""
LONGEST = 1000
_NO_SENTENCE = (
    "traceback", "object at 0x", "<class '", "'nonetype' object", "not supported between", "unexpected keyword",
    "codec can't", "positional argument", "object is not", "object has no", "index out of range", "must be real number",
    "expected str",
)  # fmt: skip
"""What Python says to programmers, not to people."""


def unfit(told: str, quotes: bool = False) -> str | None:
    """Why this is no sentence for a person; None when it is one. One that `quotes` may say what Python said."""
    if not told.strip():
        return "says nothing"
    if "\n" in told.strip():
        return "is not one line"
    if len(told) > LONGEST:
        return f"is {len(told)} characters long"
    if not told.isprintable():
        return "cannot be printed"
    if quotes:
        return None
    found = next((one for one in _NO_SENTENCE if one in told.lower()), None)
    return found and f"says {found!r}"


@dataclass
class Tally:
    """How the trials of one part ended.

    Of `tried` some were `accepted`, some `refused` with a sentence, and `lost` is the rest: an exception that is no
    sentence, no answer in time, or a wrong end. `mixed` got what belonged to another, `leaked` is what stayed behind
    (files, memory, a sign that foreign code ran). `command` has the words after `python -m tests.robustness`, `notes`
    are figures besides, `faults` say what went wrong. Refusals that `quotes` may end in what a library said.
    """

    name: str
    command: str = ""
    tried: int = 0
    accepted: int = 0
    refused: int = 0
    lost: int = 0
    mixed: int = 0
    leaked: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    quotes: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, mixed up or left behind."""
        return not (self.lost or self.mixed or self.leaked)

    def lose(self, what: str, why: str) -> None:
        """One trial more that was lost, already counted as tried."""
        self.lost += 1
        self.faults.append(f"{what}: {why}")

    def leak(self, what: str) -> None:
        """Something stayed behind."""
        self.leaked += 1
        self.faults.append(f"leaked: {what}")

    def told(self, what: str, sentence: str) -> None:
        """One trial, already counted, ended in a refusal."""
        why = unfit(sentence)
        if why is None:
            self.refused += 1
        else:
            self.lose(what, f"the refusal {why}: {sentence[:300]!r}")

    def trial(self, what: str, call: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """One trial: accepted when `call` returns, refused when it raises a ValueError with a sentence, else lost, as
        it is when it took more than `seconds` of computing.

        Returns what it returned, and None when it did not.
        """
        self.tried += 1
        started = time.process_time()
        result, ended = None, ""
        try:
            result = call()
        except (UnicodeError, json.JSONDecodeError) as error:
            ended = f"{type(error).__name__}: {error}"
        except ValueError as error:
            if why := unfit(str(error), self.quotes):
                ended = f"the refusal {why}: {str(error)[:300]!r}"
            elif (took := time.process_time() - started) <= seconds:
                self.refused += 1
                return None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit is as wrong as any other
            where = traceback.extract_tb(error.__traceback__)[-1]
            ended = f"{type(error).__name__}: {str(error)[:300]} ({where.filename}, line {where.lineno})"
        took = time.process_time() - started
        if ended or took > seconds:
            self.lose(what, ended or f"took {took:.0f} s of computing")
            return None
        self.accepted += 1
        return result

    def alone(self, what: str, call: Callable[[], Any], seconds: float, memory: int | None = None) -> None:
        """A trial in a process of its own, lost as well when that dies, takes longer than `seconds` on the clock, or
        wants more than `memory` bytes."""
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os.close(reading)
            if memory is not None:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            counted = Tally(self.name, quotes=self.quotes)
            try:
                counted.trial(what, call, seconds)
                os.write(writing, json.dumps([counted.accepted, counted.refused, counted.faults]).encode()[:60000])
            finally:
                os._exit(0)
        os.close(writing)
        self.tried += 1
        done, _, _ = select.select([reading], [], [], seconds)
        if not done:
            os.kill(child, signal.SIGKILL)
        with open(reading, "rb") as file:
            told = file.read() if done else b""
        _, status = os.waitpid(child, 0)
        if not told:
            self.lose(what, f"took over {seconds:.0f} s" if not done else f"the process died (status {status})")
            return
        accepted, refused, faults = json.loads(told)
        self.accepted, self.refused = self.accepted + accepted, self.refused + refused
        self.lost, self.faults = self.lost + len(faults), self.faults + faults


_HEAD = (
    "| Part | Tried | Accepted | Refused | Lost | Mixed | Leaked | Besides | `python -m tests.robustness` |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |",
)


def table(tallies: list[Tally]) -> str:
    """The tallies as a table in Markdown."""
    rows = []
    for one in tallies:
        counts = (one.tried, one.accepted, one.refused, one.lost, one.mixed, one.leaked)
        besides = "; ".join([*one.notes, f"{one.seconds:.0f} s"])
        rows.append(f"| {one.name} | {' | '.join(f'{count:,}' for count in counts)} | {besides} | `{one.command}` |")
    return "\n".join([*_HEAD, *rows])


def write(page: Path, tallies: list[Tally]) -> None:
    """Puts the rows of these tallies into the table of a page, in the place of those of the same names."""
    lines = page.read_text().splitlines()
    for row in table(tallies).splitlines()[len(_HEAD) :]:
        name = row.split("|")[1]
        at = [number for number, line in enumerate(lines) if line.startswith(f"|{name}|")]
        last = max(number for number, line in enumerate(lines) if line.startswith("|"))
        lines[at[0] if at else last + 1 : at[0] + 1 if at else last + 1] = [row]
    page.write_text("\n".join(lines) + "\n")
