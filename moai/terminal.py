"""What a command owes the terminal: quiet libraries, one sentence for what is wrong, and no traceback."""

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable


def quiet_libraries() -> None:
    """Libraries' chatter stays out of the answer; our own messages do not go through logging."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)


def quiet_imports() -> None:
    """What libraries say when they are imported stays out of the log of a server, which goes on to tell the rest."""
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # of enums in torchao


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are one sentence, a ValueError, as all that is wrong is told."""

    def error(self, message: str):
        """Raises ValueError with what is wrong and where to read what is allowed."""
        raise ValueError(f"{message}; `{self.prog} --help` says what is allowed")


def guarded(run: Callable[[], object], program: str = "moai") -> int:
    """Exit code of `run`: 0 when it went well, 2 after one sentence on standard error when it did not, 130 after
    Ctrl+C, and 1 when whoever reads the output has left."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # An answer may hold characters that the terminal does not have.
            stream.reconfigure(errors="backslashreplace")
    try:
        run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"{program}: {sentence(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        # So safetensors tells of a disk that is full.
        print(f"{program}: {sentence(error)}", file=sys.stderr)
        return 2
    return 0


def sentence(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(line.strip() for line in str(error).splitlines()) or type(error).__name__


def typed(text: str) -> str:
    """An argument as it was typed in UTF-8, also where the locale knows fewer characters."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text  # half of a character, and no bytes of a terminal


def print_json(value: object) -> None:
    """Prints `value` as JSON that stays valid whatever the terminal can write."""
    unicode = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, ensure_ascii=not unicode, indent=1))
