"""Where pictures stand in the rows of a batch, and the decoder's input with the pictures in their places.

A row holds one picture or none. P pictures belong, in their order, to the P rows that hold image tokens; where every
row holds one, P is B and nothing is picked out.
"""

import torch
from torch import Tensor


def check_image_tokens(image_mask: Tensor, num_image: int, num_pictures: int | None = None) -> None:
    """Raises ValueError unless `num_pictures` rows (None: all) of `image_mask` (B, S) bool mark `num_image` tokens, and
    the others none.

    While training on an accelerator, and in compiled code, where nothing waits for the device, the device raises
    RuntimeError in its own time.
    """
    rows = len(image_mask)
    num_pictures = rows if num_pictures is None else num_pictures
    counts = image_mask.sum(dim=1)
    if num_pictures == rows:
        right = (counts == num_image).all()
        sentence = f"each row needs exactly {num_image} image tokens, one for each image feature"
    else:
        right = ((counts == num_image) | (counts == 0)).all() & ((counts > 0).sum() == num_pictures)
        sentence = (
            f"{num_pictures} of the {rows} rows need exactly {num_image} image tokens, one for each image feature of "
            "their picture, and the others none"
        )
    if torch.compiler.is_compiling() or (image_mask.device.type != "cpu" and torch.is_grad_enabled()):
        torch._assert_async(right, sentence)
    elif not bool(right):
        raise ValueError(f"{sentence}, but the rows have {counts.tolist()}")


def rows_with_pictures(image_mask: Tensor, num_pictures: int) -> Tensor | None:
    """The rows (P,) of `image_mask` (B, S) bool that hold the P pictures; None when all do."""
    if num_pictures == len(image_mask):
        return None
    # A stable sort brings them to the front without asking the device which they are.
    return torch.argsort(image_mask.any(dim=1).logical_not(), stable=True)[:num_pictures]


def place_pictures(embeds: Tensor, image_mask: Tensor, image_embeds: Tensor, rows: Tensor | None) -> Tensor:
    """Word embeddings (B, S, D) with image tokens (P, I, D) where `image_mask` (B, S) bool says; `rows` (P,), those
    that hold a picture, or None for all."""
    image_mask, image_embeds = image_mask.to(embeds.device), image_embeds.to(embeds)
    words, marked = embeds, image_mask
    if rows is not None:
        rows = rows.to(embeds.device)
        words, marked = embeds[rows], image_mask[rows]
    rank = (marked.cumsum(dim=1) - 1).clamp(0, image_embeds.shape[1] - 1)
    placed = image_embeds.gather(1, rank[..., None].expand(-1, -1, image_embeds.shape[-1]))
    placed = torch.where(marked[..., None], placed, words)
    return placed if rows is None else embeds.index_copy(0, rows, placed)
