"""A detection data set that lives on the training device as a whole, varied there batch by batch.

Small networks on a fast device wait for the processes that decode and vary pictures; a data set of a few tens of
thousands of small pictures fits into the device's memory instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

PADDING = 114 / 255
"""Grey around a letterboxed picture, as ultralytics has it."""
MIN_SIDE = 0.01
"""Boxes that are narrower after cropping, as a share of the picture's side, are left out."""


@dataclass(frozen=True)
class Variation:
    """How much a picture is varied: shift as a share of its side, zoom, contrast and brightness as shares of 1."""

    shift: float = 0.06
    zoom: float = 0.25
    contrast: float = 0.2
    brightness: float = 0.1


def vary(images: Tensor, masks: Tensor, boxes: Tensor, classes: Tensor, variation: Variation) -> tuple[Tensor, ...]:
    """The four varied at random, one draw a picture.

    images: (B, 3, H, W) in 0..1; masks: (B, h, w) number of the object at each pixel, 0 for none; boxes: (B, M, 4)
    centre, width and height in 0..1; classes: (B, M), -1 for a box that is not there. Object k of a picture has the
    number k + 1 in its mask; objects that are out of sight afterwards get the class -1 and leave the mask.
    """
    batch, device = images.shape[0], images.device

    def draw(amount: float, *shape: int) -> Tensor:
        return (torch.rand(batch, *shape, device=device) * 2 - 1) * amount

    zoom, shift = 1 + draw(variation.zoom), draw(variation.shift, 2)
    # grid_sample asks where each new pixel comes from, in -1..1.
    theta = torch.zeros(batch, 2, 3, device=device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / zoom
    theta[:, :, 2] = -2 * shift / zoom[:, None]
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    contrast, brightness = 1 + draw(variation.contrast, 1, 1, 1), draw(variation.brightness, 1, 1, 1)
    images = F.grid_sample(images - PADDING, grid, align_corners=False) + PADDING
    images = ((images - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
    grid = F.affine_grid(theta, [batch, 1, *masks.shape[1:]], align_corners=False)
    masks = F.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0].round().long()
    centre = (boxes[..., :2] - 0.5) * zoom[:, None, None] + 0.5 + shift[:, None]
    half = boxes[..., 2:] * zoom[:, None, None] / 2
    low, high = (centre - half).clamp(0, 1), (centre + half).clamp(0, 1)
    boxes = torch.cat(((low + high) / 2, high - low), dim=-1)
    classes = classes.masked_fill((boxes[..., 2:] < MIN_SIDE).any(dim=-1), -1)
    here = F.pad(classes >= 0, (1, 0), value=False)
    return images, masks.where(here.gather(1, masks.flatten(1)).view_as(masks), 0), boxes, classes


class ResidentLoader:
    """What ultralytics' trainer takes as its loader of training batches; pictures are varied already.

    `dataset` gives ultralytics' formatted samples, unvaried and all of one size, with overlapping masks. Raises
    ValueError when it has fewer pictures than a batch.
    """

    def __init__(self, dataset: Dataset, batch_size: int, workers: int, device: torch.device, variation: Variation):
        if len(dataset) < batch_size:
            raise ValueError(f"a batch has {batch_size} pictures but there are only {len(dataset)}; make it smaller")
        self.dataset, self.batch_size, self.variation = dataset, batch_size, variation
        self.sampler, self.drop_last, self.num_workers = range(len(dataset)), True, workers
        samples = DataLoader(dataset, 64, num_workers=workers, collate_fn=_stacked)
        images, masks, boxes, classes = zip(*samples, strict=True)
        most = max(part.shape[1] for part in classes)
        self.images, self.masks = torch.cat(images).to(device), torch.cat(masks).to(device)
        self.boxes = torch.cat([F.pad(part, (0, 0, 0, most - part.shape[1])) for part in boxes]).to(device)
        self.classes = torch.cat([F.pad(part, (0, most - part.shape[1]), value=-1) for part in classes]).to(device)

    def __len__(self) -> int:
        return len(self.dataset) // self.batch_size

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        device = self.images.device
        order = torch.randperm(len(self.dataset), device=device)[: len(self) * self.batch_size]
        for chosen in order.view(-1, self.batch_size):
            images, masks, boxes, classes = vary(
                self.images[chosen].float() / 255,
                self.masks[chosen],
                self.boxes[chosen],
                self.classes[chosen],
                self.variation,
            )
            yield flattened(images, masks, boxes, classes)

    def reset(self) -> None:
        """Nothing is prefetched."""


def flattened(images: Tensor, masks: Tensor, boxes: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """A batch as ultralytics' losses take it: the boxes of all pictures in one list, numbered without gaps."""
    here = classes >= 0
    number = F.pad(here.cumsum(dim=1) * here, (1, 0))
    owner, place = here.nonzero(as_tuple=True)
    return {
        "img": images,
        "masks": number.gather(1, masks.flatten(1)).view_as(masks),
        "bboxes": boxes[owner, place],
        "cls": classes[owner, place].float()[:, None],
        "batch_idx": owner.float(),
    }


def _stacked(samples: list[dict]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images uint8 (B, 3, H, W), masks uint8 (B, h, w), boxes (B, M, 4) and classes (B, M) padded to the most."""
    most = max(max(len(sample["cls"]) for sample in samples), 1)
    boxes, classes = torch.zeros(len(samples), most, 4), torch.full((len(samples), most), -1)
    for row, sample in enumerate(samples):
        count = len(sample["cls"])
        boxes[row, :count] = sample["bboxes"]
        classes[row, :count] = sample["cls"].flatten().long()
    images = torch.stack([sample["img"] for sample in samples])
    masks = torch.cat([sample["masks"] for sample in samples])
    return images, masks.to(torch.uint8), boxes, classes
