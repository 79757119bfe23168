"""Speed and memory: `python -m benchmarks.speed`."""

import sys

from moai.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["speed", *sys.argv[1:]]))
