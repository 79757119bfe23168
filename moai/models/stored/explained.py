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
    """What an error says, on one line; its kind where that is not plain."""
    told = textwrap.shorten(str(error), 240, placeholder=" ...")
    if isinstance(error, (ValueError, ImportError)) and told:
        return told
    return f"{type(error).__name__}: {told}" if told else type(error).__name__
