"""The batched mask loss against ultralytics' own, picture by picture."""

from types import SimpleNamespace

import torch

from moai.training.experts.mask_loss import batched_mask_loss
from perception.networks.yolo import import_ultralytics


def inputs(positives: float = 0.4):
    generator = torch.Generator().manual_seed(0)
    batch, anchors, channels, height, width, objects = 3, 60, 8, 20, 24, 5

    def random(*shape):
        return torch.rand(*shape, generator=generator)

    corner, size = random(batch, anchors, 2) * 60, 6 + random(batch, anchors, 2) * 30
    return {
        "fg_mask": random(batch, anchors) < torch.tensor([positives, positives / 2, 0.0])[:, None],
        "masks": torch.randint(0, objects + 1, (batch, height, width), generator=generator).float(),
        "target_gt_idx": torch.randint(0, objects, (batch, anchors), generator=generator),
        "target_bboxes": torch.cat([corner, corner + size], dim=-1),
        "proto": (random(batch, channels, height, width) - 0.5).requires_grad_(),
        "pred_masks": (random(batch, anchors, channels) * 4 - 2).requires_grad_(),
        "imgsz": torch.tensor([80.0, 96.0]),
    }


def test_it_equals_the_reference_with_its_gradients():
    import_ultralytics()
    from ultralytics.utils.loss import v8SegmentationLoss

    given = inputs()
    # single_mask_loss is a static method of the class; nothing else of an instance is needed.
    reference = SimpleNamespace(overlap=True, single_mask_loss=v8SegmentationLoss.single_mask_loss)
    expected = v8SegmentationLoss.calculate_segmentation_loss(reference, **given, batch_idx=None)
    loss = batched_mask_loss(**given)
    assert torch.allclose(loss, expected, rtol=1e-4)
    wrt = [given["proto"], given["pred_masks"]]
    for ours, theirs in zip(torch.autograd.grad(loss, wrt), torch.autograd.grad(expected, wrt), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-6)
