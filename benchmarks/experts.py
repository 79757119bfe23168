"""Scores the embedded experts on drawn scenes: `python -m benchmarks.experts`."""

import sys

from moai.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["eval", "experts", *sys.argv[1:]]))
