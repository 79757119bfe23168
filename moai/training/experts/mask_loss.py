"""The mask loss of YOLO segmentation for a whole batch at once."""

import torch
from torch import nn


def batched_mask_loss(
    fg_mask: torch.Tensor,
    masks: torch.Tensor,
    target_gt_idx: torch.Tensor,
    target_bboxes: torch.Tensor,
    proto: torch.Tensor,
    pred_masks: torch.Tensor,
    imgsz: torch.Tensor,
) -> torch.Tensor:
    """The same value as ultralytics' `v8SegmentationLoss.calculate_segmentation_loss` with overlapping masks.

    ultralytics goes through the pictures of a batch one by one, with several waits for the GPU in each; here positive
    anchors are padded to the most of any picture. fg_mask (B, A) bool; masks (B, H, W) with the number of the object
    at each pixel, 0 for none; target_gt_idx (B, A); target_bboxes (B, A, 4) x1 y1 x2 y2 in pixels; proto (B, C, H, W);
    pred_masks (B, A, C); imgsz (2,) height and width of the input. Returns a scalar, the sum over positive anchors of
    the cross-entropy within the box, by box area, over the number of positive anchors.
    """
    batch, _, height, width = proto.shape
    image, anchor = fg_mask.nonzero(as_tuple=True)
    slot = (fg_mask.cumsum(1) - 1)[image, anchor]
    most = int(slot.max()) + 1 if len(slot) else 0

    def padded(values: torch.Tensor, fill: float) -> torch.Tensor:
        out = values.new_full((batch, most, *values.shape[2:]), fill)
        out[image, slot] = values[image, anchor]
        return out

    boxes = padded(target_bboxes / imgsz[[1, 0, 1, 0]], 0.0)
    area = ((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])).where(boxes[..., 2] > boxes[..., 0], 1.0)
    x1, y1, x2, y2 = (boxes * boxes.new_tensor([width, height, width, height]))[..., None].unbind(-2)
    columns = torch.arange(width, device=boxes.device, dtype=boxes.dtype)
    rows = torch.arange(height, device=boxes.device, dtype=boxes.dtype)
    across = ((columns >= x1) & (columns < x2)).to(proto.dtype)
    down = ((rows >= y1) & (rows < y2)).to(proto.dtype)
    logits = torch.bmm(padded(pred_masks, 0.0), proto.flatten(2)).view(batch, most, height, width)
    wanted = masks[:, None] == padded(target_gt_idx + 1, -1)[..., None, None]
    loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype), reduction="none")
    with torch.autocast(proto.device.type, enabled=False):  # sums over many pixels, in full precision
        inside = torch.einsum("bmhw,bmh,bmw->bm", loss.float(), down.float(), across.float())
    return (inside / (height * width) / area).sum() / fg_mask.sum()
