"""The campaign sees what goes wrong."""

import os
import time

import pytest

from tests.robustness.pictures import pictures
from tests.robustness.tally import Tally, table, unfit, write


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("call", "counts"),
    [
        (lambda: 1, (1, 0, 0)),
        (lambda: _raise(ValueError("the question is empty; ask something")), (0, 1, 0)),
        (lambda: _raise(ValueError("")), (0, 0, 1)),
        (lambda: _raise(ValueError("two\nlines")), (0, 0, 1)),
        (lambda: _raise(ValueError("half \ud83d")), (0, 0, 1)),
        (lambda: _raise(ValueError("'NoneType' object is not iterable")), (0, 0, 1)),
        (lambda: "\ud83d".encode(), (0, 0, 1)),
        (lambda: 1 / 0, (0, 0, 1)),
        (lambda: _raise(SystemExit(0)), (0, 0, 1)),
    ],
)
def test_a_trial_is_accepted_refused_or_lost(call, counts):
    tally = Tally("some")
    tally.trial("one", call)
    tally.alone("one", call, 60)
    assert (tally.accepted, tally.refused, tally.lost) == tuple(2 * count for count in counts)
    assert tally.tried == 2 and len(tally.faults) == tally.lost and tally.clean == (not tally.lost)


@pytest.mark.parametrize("call", [lambda: os._exit(3), lambda: os.kill(os.getpid(), 9), lambda: time.sleep(60)])
def test_a_process_that_dies_or_hangs_is_lost(call):
    tally = Tally("some")
    tally.alone("one", call, 1)
    assert tally.lost == 1 and not tally.accepted


def test_computing_for_too_long_is_lost():
    tally = Tally("some")
    tally.trial("one", lambda: sum(range(10**6)), seconds=1e-6)
    assert tally.lost == 1 and "of computing" in tally.faults[0]


def test_what_is_quoted_may_speak_python():
    assert unfit("ocr failed: 'NoneType' object") and not unfit("ocr failed: 'NoneType' object", quotes=True)


def test_the_table_has_a_row_for_each_part():
    row = "| some | 1,200 | 0 | 0 | 0 | 0 | 0 | 5 MiB; 0 s | `some --seed 0` |"
    assert row in table([Tally("some", "some --seed 0", tried=1200, notes=["5 MiB"])])


def test_figures_take_the_place_of_older_ones_in_a_page(tmp_path):
    page = tmp_path / "page.md"
    first, second, third = (Tally(name, tried=2) for name in ("first", "second", "third"))
    page.write_text(f"Before\n\n{table([Tally('first', tried=1), second])}\n\nAfter\n")
    write(page, [first, third])
    assert page.read_text() == f"Before\n\n{table([first, second, third])}\n\nAfter\n"


def test_pictures_are_the_same_for_a_seed_and_of_many_kinds():
    first, again, other = list(pictures(40, 0)), list(pictures(15, 0)), list(pictures(15, 1))
    # But TIFF, into which Pillow writes bytes that it has not set.
    assert [one for one in first[:15] if "TIFF" not in one.what] == [one for one in again if "TIFF" not in one.what]
    assert all(ours.what != theirs.what for ours, theirs in zip(again, other, strict=True))
    kinds = {one.what.split()[-1] for one in first}
    assert len(kinds) > 10 and 1 <= sum(one.whole for one in first) <= 15
