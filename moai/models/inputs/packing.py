"""Several questions about a picture in one row: each sees what all share, and itself.

What stands before the questions is most of a row, and is read once in place of once a question. The decoder computes
just what it computes for each question alone. In the mixers, what all share (image tokens, system text) sees no
question of a packed row, where in a row of its own it would see that one; a last stage with a row for each question
gets it used to that.
"""

import torch
from torch import Tensor


def turn_mask(turn_ids: Tensor) -> Tensor:
    """The decoder's attention mask (B, 1, S, S) bool, True = seen. turn_ids: (B, S), 0 = shared by all turns."""
    places = torch.arange(turn_ids.shape[1], device=turn_ids.device)
    before = places[None, :] <= places[:, None]
    keys, queries = turn_ids[:, None], turn_ids[:, :, None]
    return (before & ((keys == 0) | (keys == queries)))[:, None]


def turn_positions(turn_ids: Tensor) -> Tensor:
    """Positions (B, S): each turn goes on where the shared tokens end.

    turn_ids: (B, S) with the shared tokens (0) first and each turn in one piece.
    """
    places = torch.arange(turn_ids.shape[1], device=turn_ids.device).expand_as(turn_ids)
    shared = (turn_ids == 0).sum(dim=1, keepdim=True)
    begins = torch.ones_like(turn_ids, dtype=torch.bool)
    begins[:, 1:] = turn_ids[:, 1:] != turn_ids[:, :-1]
    start = places.masked_fill(~begins, 0).cummax(dim=1).values
    return torch.where(turn_ids == 0, places, places - start + shared)
