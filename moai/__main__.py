"""`python -m moai`: see `moai.cli`."""

from moai.cli import main

raise SystemExit(main())
