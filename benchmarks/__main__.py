"""`python -m benchmarks`."""

from moai.evaluation.cli import main

raise SystemExit(main())
