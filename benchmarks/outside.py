"""How far answers keep to what the experts saw: `python -m benchmarks.outside`."""

from moai.evaluation.drawn.faithfulness import main

if __name__ == "__main__":
    raise SystemExit(main())
