"""Speed and memory: `python -m benchmarks.speed`."""

from moai.profiling.speed import main

if __name__ == "__main__":
    raise SystemExit(main())
