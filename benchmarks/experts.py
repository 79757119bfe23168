"""Scores the embedded experts on drawn scenes: `python -m benchmarks.experts`."""

from moai.evaluation.drawn.expert_accuracy import main

if __name__ == "__main__":
    raise SystemExit(main())
