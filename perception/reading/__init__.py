"""From the pieces of text that an OCR engine finds to lines in the order in which a person reads them."""

from perception.reading.direction import as_read
from perception.reading.lines import MIN_SCORE, lines_of, merge_lines
from perception.reading.order import reading_order

__all__ = ["MIN_SCORE", "as_read", "lines_of", "merge_lines", "reading_order"]
