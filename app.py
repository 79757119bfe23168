"""The web page: `python app.py`, the same as `moai page` (see --help)."""

import sys

from moai.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["page", *sys.argv[1:]]))
