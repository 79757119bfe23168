"""Scores an assistant's answers on held-out drawn scenes: `python -m benchmarks.answers`."""

import sys

from moai.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["eval", "answers", *sys.argv[1:]]))
