"""Real reading mistakes beside simulated ones: `python -m benchmarks.expert_noise`."""

import sys

from moai.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["eval", "noise", *sys.argv[1:]]))
