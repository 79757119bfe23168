"""Train MoAI: `python train.py --stage language|backbone|experts|gates|detector|relations` (see --help)."""

from moai.training.command import main

if __name__ == "__main__":
    raise SystemExit(main())
