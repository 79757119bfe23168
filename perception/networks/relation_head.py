"""The relation head: a small network that says which predicate, if any, holds for each ordered pair of objects."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from perception.expert import ExpertUnavailable
from perception.networks.relation_features import FEATURES, STRIP, THUMB_VALUES

WEIGHTS_FILE, SETTINGS_FILE = "model.safetensors", "config.json"


class RelationHead(nn.Module):
    """Scores of predicates for ordered pairs of objects.

    `labels` are the classes that it knows; others share one embedding. `predicates` are its outputs. `stuff` are
    labels that are only ever objects of a relation, `ignored` labels that take no part.
    """

    def __init__(
        self,
        labels: Sequence[str],
        predicates: Sequence[str],
        stuff: Sequence[str] = (),
        ignored: Sequence[str] = (),
        width: int = 256,
        temperature: float = 1.0,
        power: float = 1.0,
    ):
        super().__init__()
        self.settings: dict[str, Any] = {
            "labels": list(labels), "predicates": list(predicates), "stuff": list(stuff), "ignored": list(ignored),
            "width": width, "temperature": temperature, "power": power,
        }  # fmt: skip
        self.index = {label: number + 1 for number, label in enumerate(labels)}
        self.classes = nn.Embedding(len(labels) + 1, 32)
        self.look = nn.Sequential(nn.Linear(THUMB_VALUES, 128), nn.GELU(), nn.Linear(128, 48))
        # Ridges are found anywhere across the strip, and how far along it they reach is kept.
        self.ridges = nn.Sequential(
            nn.Conv2d(1, 12, (5, 3), padding=(2, 1)), nn.GELU(), nn.Conv2d(12, 12, (5, 3), padding=(2, 1)), nn.GELU()
        )
        self.between = nn.Sequential(nn.Linear(12 * STRIP[1], 32), nn.GELU())
        self.nothing_between = nn.Parameter(torch.zeros(32))
        self.pair = nn.Sequential(
            nn.Linear(FEATURES + 32 + 2 * (32 + 48), width), nn.GELU(), nn.LayerNorm(width),
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, len(predicates)),
        )  # fmt: skip

    def class_ids(self, labels: Sequence[str]) -> torch.Tensor:
        """(N,) int64 numbers of labels, 0 for unknown ones."""
        return torch.tensor([self.index.get(label, 0) for label in labels], dtype=torch.int64)

    def forward(
        self,
        class_ids: torch.Tensor,
        thumbs: torch.Tensor,
        features: torch.Tensor,
        pairs: torch.Tensor,
        strips: torch.Tensor,
        strip_of: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (P, predicates).

        class_ids (N,) int64; thumbs (N, THUMB_VALUES) uint8; features (P, F) float; pairs (P, 2) int64 into the N
        nodes, subject then object; strips (S, *STRIP) uint8; strip_of (P,) int64 into them, -1 for none.
        """
        nodes = torch.cat([self.classes(class_ids), self.look(thumbs.float() / 127.5 - 1)], dim=-1)
        between = torch.cat([self.seen_between(strips), self.nothing_between[None]])[strip_of]
        return self.pair(torch.cat([features, between, nodes[pairs[:, 0]], nodes[pairs[:, 1]]], dim=-1))

    def seen_between(self, strips: torch.Tensor) -> torch.Tensor:
        """(S, *STRIP) uint8 -> (S, 32): what runs along the strips, however light the picture."""
        grey = strips.float()
        grey = (grey - grey.mean(dim=1, keepdim=True)) / 40
        return self.between(self.ridges(grey[:, None]).amax(dim=2).flatten(1))

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities in 0..1: logits divided by the temperature that was fitted on held-out scenes, then sigmoid.

        `power` then moves the cut at which F1 was best to 0.8, the threshold of verbalisation (1 leaves them).
        """
        return torch.sigmoid(logits / self.settings["temperature"]) ** self.settings["power"]

    def save(self, folder: str | Path, **record) -> None:
        """Writes weights (safetensors, fp16) and settings (config.json, with `record` added) into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.detach().half().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(state, folder / WEIGHTS_FILE)
        (folder / SETTINGS_FILE).write_text(json.dumps({**self.settings, **record}, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> "RelationHead":
        """The head saved in a folder, fp32, in evaluation mode; raises ExpertUnavailable when there is none."""
        folder = Path(folder)
        if not (folder / WEIGHTS_FILE).is_file() or not (folder / SETTINGS_FILE).is_file():
            raise ExpertUnavailable(
                f"{folder} holds no relation head: {WEIGHTS_FILE} and {SETTINGS_FILE} belong there; train one with "
                "train.py --stage relations"
            )
        record = json.loads((folder / SETTINGS_FILE).read_text())
        names = ("labels", "predicates", "stuff", "ignored", "width", "temperature", "power")
        head = cls(**{name: record[name] for name in names})
        head.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS_FILE).items()})
        return head.eval()
