"""How far answers keep to what the experts saw: `python -m benchmarks.outside`."""

import sys

from moai.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["eval", "faithfulness", *sys.argv[1:]]))
