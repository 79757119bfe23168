"""The web page: `python app.py`, the same as `moai serve` (see --help)."""

import sys

from moai.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["serve", *sys.argv[1:]]))
