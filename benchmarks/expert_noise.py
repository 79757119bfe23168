"""Real reading mistakes beside simulated ones: `python -m benchmarks.expert_noise`."""

from moai.evaluation.drawn.expert_noise import main

if __name__ == "__main__":
    raise SystemExit(main())
