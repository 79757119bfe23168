"""What the benchmark of reading counts."""

from benchmarks.reading import kept_rows, prices, similarity
from perception import TextLine


def line(text: str, x: float, y: float) -> TextLine:
    return TextLine(text, 1.0, (x, y, x + 0.2, y + 0.05))


WRITTEN = [line("Bread", 0.1, 0.1), line("2.40", 0.7, 0.1), line("Milk", 0.1, 0.2), line("RM 1.15", 0.7, 0.2)]


def test_prices_stand_behind_their_words():
    assert [(words.text, price.text) for words, price in prices(WRITTEN)] == [("Bread", "2.40"), ("Milk", "RM 1.15")]
    assert kept_rows(WRITTEN, WRITTEN) == [True, True]
    assert kept_rows([WRITTEN[0], WRITTEN[2], WRITTEN[1], WRITTEN[3]], WRITTEN) == [False, False]
    rows = [TextLine("Bread 2.40", 1.0, (0.1, 0.1, 0.9, 0.15)), TextLine("Milk 1.15", 1.0, (0.1, 0.2, 0.9, 0.25))]
    assert kept_rows(rows, WRITTEN) == [True, True] and kept_rows([], WRITTEN) == []


def test_lines_are_compared_by_letters_and_digits():
    assert similarity([line("TOTAL: 9.00", 0, 0)], "9,00") == 1.0 and similarity([], "9.00") == 0.0
    assert 0 < similarity([line("TOTAI", 0, 0)], "TOTAL") < 1
