"""What each expert gives: `python -m benchmarks.own`."""

import sys

from moai.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["eval", "contribution", *sys.argv[1:]]))
