"""Train MoAI: `python train.py --stage STAGE --output FOLDER ...` (see --help).

All stages one after another: `python -m moai.training.recipe FOLDER`."""

from moai.training.command import main

if __name__ == "__main__":
    raise SystemExit(main())
