"""Makes the embedded model's folder from a trained one: bf16, small shards, and a card that says how it came about.

moai export runs/nano/gates weights/moai-nano
"""

import json
from pathlib import Path

import torch

from moai.evaluation.drawn.by_kind import print_table
from moai.training.run import load_model
from moai.training.trainer import RECORD, save_model
from perception.files.whole import write_json, write_whole

SHARD = "15MB"


def export(trained: Path, folder: Path, scores: Path | None = None) -> Path:
    """Writes weights, processor, record and card of the model in `trained` into `folder`; returns the card's path.

    `scores` is what `moai eval answers --out` wrote about the model. With the same folder twice, only record and card
    are written. Raises ValueError with one sentence, before anything is written, for a folder that training did not
    write and for scores that are not there.
    """
    if not (trained / RECORD).is_file():
        raise ValueError(f"{trained} holds no result of train.py")
    if scores is not None and not scores.is_file():
        raise ValueError(f"there is no file {scores}")
    model, processor = load_model(trained)
    if not (folder.is_dir() and trained.samefile(folder)):
        for old in folder.glob("model*.safetensors*"):
            old.unlink()
        save_model(model.to(torch.bfloat16), processor, folder, max_shard_size=SHARD)
    record = {"history": json.loads((trained / RECORD).read_text())["history"]}
    if scores is not None:
        told = json.loads(scores.read_text())
        record |= {"scores": told["scores"], "scored_by": told["command"]}
    write_json(folder / RECORD, record)
    card = folder / "README.md"
    write_whole(card, card_of(record, sum(parameter.numel() for parameter in model.parameters()), model.config))
    return card


def card_of(record: dict, parameters: int, config) -> str:
    """The model card, Markdown. record: `history` of the stages and, for a model that was scored, `scores` by variant
    and kind, with the command that gave them, `scored_by`."""
    text, vision = config.text_config, config.vision_config
    mixers = ", ".join(str(layer + 1) for layer in config.mixer_layers)
    rows = "\n".join(
        f"| {one['stage']} | `{one['command']}` | {one['seed']} | {one['seconds']} s, {one['device']} | "
        f"{one['steps']:,} x {one['rows']} rows |"
        for one in record["history"]
    )
    size = f"{parameters / 1e6:.0f} M parameters"
    depth = f"{text.num_hidden_layers} layers, width {text.hidden_size}"
    decoder = f"a Llama-style decoder ({depth}, trained here from nothing)"
    encoder = f"a {vision.name} encoder ({config.num_image_tokens} image tokens of a {vision.image_size} px picture)"
    parts = f" for each of {config.compressor_parts} parts of the words" if config.compressor_parts > 1 else ""
    latents = f"a compressor with {config.compressor_num_latents} latents{parts}"
    return f"""# Embedded language-and-vision model

MoAI at {size}: {decoder},
{encoder},
{latents}, mixers in layers {mixers}.

| | |
| --- | --- |
| Intended use | trying MoAI offline, its tests, and experiments with drawn scenes |
| Limits | knows drawn scenes and short English questions about them and nothing else; not for photographs |
| Data | drawn scenes of `moai.data.drawn`, endless, seeds below 1,000,000,000; experts simulated with noise |
| Files | bf16 safetensors, `{RECORD}` with the stages and scores below |
| Licence | Apache-2.0; the drawings of the data are Noto Color Emoji (OFL-1.1) |

| stage | command | seed | time | steps |
| --- | --- | --- | --- | --- |
{rows}
{_scores(record)}"""


def _scores(record: dict) -> str:
    if "scores" not in record:
        return ""
    return f"""
Scores on held-out scenes with the embedded experts in the loop, by kind of question (`{record["scored_by"]}`):

{print_table(record["scores"])}
"""
