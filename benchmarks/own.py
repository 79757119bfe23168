"""What each expert gives: `python -m benchmarks.own`."""

from moai.evaluation.drawn.expert_contribution import main

if __name__ == "__main__":
    raise SystemExit(main())
