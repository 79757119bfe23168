"""Scores an assistant's answers on held-out drawn scenes: `python -m benchmarks.answers`."""

from moai.evaluation.drawn.answers import main

if __name__ == "__main__":
    raise SystemExit(main())
