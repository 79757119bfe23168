"""One sentence for whatever libraries raise about someone's files."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns whatever libraries raise about someone's files into ValueError with one sentence."""
    try:
        yield
    except Exception as error:  # they let errors of all kinds through, down to a bare Exception
        raise ValueError(f"{what}: {in_a_line(error)}") from error


def in_a_line(error: BaseException) -> str:
    """What an error says, on one line; where that is about a program and not about files, its kind alone."""
    told = textwrap.shorten(str(error), 240, placeholder=" ...")
    if isinstance(error, UnicodeError):
        return "it holds text that is not UTF-8"
    if isinstance(error, (ValueError, ImportError, OSError)) and told:
        return told
    strict = "validation error" in told.lower()  # of transformers, which names the field
    return told if strict else f"something in it is missing, or not what it must be ({type(error).__name__})"
