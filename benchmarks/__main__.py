"""`python -m benchmarks`: the same as `moai eval`."""

import sys

from moai.cli import main

raise SystemExit(main(["eval", *sys.argv[1:]]))
