"""The order of lines, however their page is turned: pieces as an OCR engine finds them, without one."""

import numpy as np
import pytest

from perception.reading import lines_of

TURNS = (0, 90, 180, 270)
TILTS = (0, 3, -5, 7, -7)


class Page:
    """Pieces of text on a page, 1000 pixels wide."""

    def __init__(self):
        self.quads, self.texts = [], []

    def add(self, text: str, x: float, y: float, wide: float | None = None, high: float = 20) -> None:
        wide = wide or 11 * len(text)
        self.quads.append([(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)])
        self.texts.append(text)

    def read(self, degrees: float = 0, noise: float = 0, scores=None) -> list[str]:
        """What is read when the page is turned clockwise, its corners found to some pixels."""
        rng = np.random.default_rng(round(10 * degrees) % 3600)
        quads = np.array(self.quads, float)
        angle = np.radians(degrees)
        turned = (quads - 500) @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + 800
        turned += rng.uniform(-noise, noise, turned.shape)
        shuffled = rng.permutation(len(quads))
        texts, scores = np.array(self.texts, object)[shuffled], np.array(scores or [0.95] * len(quads))[shuffled]
        return [line.text for line in lines_of(turned[shuffled], texts, scores, 1600, 1600)]


def prose(rng: np.random.Generator) -> tuple[Page, list[str]]:
    """Dense lines of one or two columns under a heading."""
    page, expected = Page(), ["Heading of the page"]
    page.add(expected[0], 20, 10, high=30)
    for left in (20, 520)[: 1 + rng.integers(2)]:
        for row in range(3 + rng.integers(6)):
            text = f"line {row} of column {left}"
            page.add(text, left, 60 + 26 * row, wide=rng.integers(330, 420))
            expected.append(text)
    return page, expected


def receipt(rng: np.random.Generator) -> tuple[Page, list[str]]:
    """Centred lines, a table of two or three columns, and a line that crosses its gaps or not."""
    page, expected = Page(), []
    for row in range(2):
        expected.append(f"name and address {row}")
        page.add(expected[-1], 250, 10 + 26 * row)
    three = rng.integers(2)
    for row in range(4 + rng.integers(5)):
        cells = [f"Article {'long ' * rng.integers(3)}{row}", *([f"{row} x"] if three else []), f"{row}{row}.40"]
        y = 80 + 25 * row + rng.uniform(-2, 2)
        page.add(cells[0], 30, y)
        if three:
            page.add(cells[1], 420, y + 1)
        page.add(cells[-1], 700 - 11 * len(cells[-1]), y - 1)
        expected.append(" ".join(cells))
    if rng.integers(2):
        expected.append("Thank you and please come to us again soon")
        page.add(expected[-1], 180, 80 + 25 * 10)
    return page, expected


@pytest.mark.parametrize("layout", [prose, receipt])
def test_a_page_is_read_the_same_however_it_is_turned(layout):
    for seed in range(12):
        page, expected = layout(np.random.default_rng(seed))
        for turn in TURNS:
            for tilt in TILTS:
                assert page.read(turn + tilt, noise=1.0) == expected, (seed, turn, tilt)


def test_prices_stay_with_what_they_are_of():
    page = Page()
    for row, (name, price) in enumerate([("Bread", "2.40"), ("Milk", "1.15"), ("Apples", "3.20"), ("TOTAL", "6.75")]):
        page.add(name, 40, 100 + 40 * row)
        page.add(price, 600, 100 + 40 * row)
    assert page.read() == ["Bread 2.40", "Milk 1.15", "Apples 3.20", "TOTAL 6.75"]
    # What is too unsure to be said is neither said with its row nor takes the row with it.
    unsure = page.read(scores=[0.95, 0.6, *[0.95] * 6])
    assert unsure == ["Bread", "2.40", "Milk 1.15", "Apples 3.20", "TOTAL 6.75"]


def test_two_rows_make_no_table():
    page = Page()
    for row in range(2):
        page.add(f"left {row}", 40, 100 + 40 * row)
        page.add(f"right {row}", 600, 100 + 40 * row)
    assert page.read() == ["left 0", "right 0", "left 1", "right 1"]


def test_columns_on_unlike_levels_are_no_table():
    page = Page()
    for row in range(4):
        page.add(f"one {row}", 40, 100 + 40 * row)
        page.add(f"two {row}", 600, 120 + 40 * row)
    assert page.read() == [f"{column} {row}" for column in ("one", "two") for row in range(4)]


@pytest.mark.parametrize("turn", TURNS)
def test_lines_turned_by_a_quarter_stay_two(turn):
    page = Page()
    page.add("first line", 100, 100)
    page.add("second line", 100, 126)
    assert page.read(turn) == ["first line", "second line"]


def test_text_that_runs_another_way_is_read_by_itself():
    page = Page()
    for row in range(3):
        page.add(f"upright line {row}", 300, 100 + 40 * row)
    for column, text in enumerate(("beside it, first", "beside it, second")):
        x, y = 100 + 26 * column, 300.0
        page.quads.append([(x, y), (x, y - 180), (x + 20, y - 180), (x + 20, y)])
        page.texts.append(text)
    assert [text for text in page.read() if "upright" in text] == [f"upright line {row}" for row in range(3)]
    assert [text for text in page.read() if "beside" in text] == ["beside it, first", "beside it, second"]


def test_one_tilted_sign_tilts_no_page():
    page = Page()
    page.add("left sign", 50, 108)
    page.add("right sign", 700, 100)
    page.quads.append([(300, 300), (450, 330), (446, 350), (296, 320)])
    page.texts.append("tilted sign")
    assert page.read() == ["left sign", "right sign", "tilted sign"]


def test_lone_digits_stand_as_their_page_does():
    page = Page()
    for row in range(3):
        page.add(f"some words {row}", 100, 100 + 40 * row)
        x, y = 400, 100 + 40 * row
        page.quads.append([(x + 8, y), (x + 8, y + 20), (x, y + 20), (x, y)])
        page.texts.append("1")
    assert page.read() == [f"some words {row} 1" for row in range(3)]
