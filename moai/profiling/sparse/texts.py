"""Rows of text to learn from and to be measured on, made once and kept."""

from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader

from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes
from moai.models.modeling import IGNORED
from moai.models.processing import MoAIProcessor

ROWS_A_SAMPLE = 8
"""That share a drawn scene: made faster than one by one."""


class Texts:
    """`rows` of drawn scenes in words with what is asked about them, on `device`; the last `held_out` are never trained
    on. They are read from `file`, or made by `workers` processes and written there."""

    def __init__(
        self, processor: MoAIProcessor, file: Path, rows: int, held_out: int, device: torch.device, workers: int = 0
    ) -> None:
        if held_out >= rows:
            raise ValueError(f"{held_out} of {rows} texts cannot be held out: none would be left to train on")
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file(_made(processor, rows, workers), file)
        kept = load_file(file)
        if len(kept["ids"]) < rows:
            raise ValueError(
                f"{file} has {len(kept['ids'])} texts, fewer than {rows}; remove it, and they are made anew"
            )
        self.pad = processor.tokenizer.pad_token_id
        self.ids, self.weights = (kept[name][:rows].to(device) for name in ("ids", "weights"))
        self.train, self.held_out = rows - held_out, torch.arange(rows - held_out, rows, device=device)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """What the objective takes, of these rows (N,)."""
        ids = self.ids[rows].long()
        return {"input_ids": ids, "labels": ids.masked_fill(ids == self.pad, IGNORED), "weights": self.weights[rows]}

    def order(self, batches: int, rows: int, seed: int) -> Tensor:
        """Rows to train on, (batches, rows), each once before any again."""
        generator = torch.Generator().manual_seed(seed)
        times = -(-batches * rows // self.train)
        drawn = torch.cat([torch.randperm(self.train, generator=generator) for _ in range(times)])
        return drawn[: batches * rows].view(batches, rows).to(self.ids.device)


def _made(processor: MoAIProcessor, rows: int, workers: int) -> dict[str, Tensor]:
    maker = rows_for(processor, pictures=False, experts=(), sizes=RowSizes(text_rows=ROWS_A_SAMPLE))
    samples = DataLoader(build(({"name": "drawn"},), maker), batch_size=None, num_workers=workers)
    made: dict[str, list[Tensor]] = {"input_ids": [], "weights": []}
    for sample in islice(samples, -(-rows // ROWS_A_SAMPLE)):
        for name, parts in made.items():
            # Copied, as each tensor of another process is an open file for as long as it is held.
            parts.append(torch.as_tensor(sample[name]).clone())
    ids, weights = (torch.cat(parts)[:rows] for parts in made.values())
    return {"ids": ids.to(torch.int32).contiguous(), "weights": weights.float().contiguous()}
