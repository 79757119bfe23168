"""Pictures that are varied on the device: boxes, masks and pixels stay together."""

import torch

from moai.training.experts.gpu_dataset import PADDING, Variation, flattened, vary

STILL = Variation(shift=0.0, zoom=0.0, contrast=0.0, brightness=0.0)


def squares(size: int = 64) -> tuple[torch.Tensor, ...]:
    """Two pictures: object 0, bright, on the left, object 1, dark, on the right, and a box that is not used."""
    images, masks = torch.full((2, 3, size, size), 0.5), torch.zeros(2, size, size, dtype=torch.uint8)
    boxes, classes = torch.zeros(2, 3, 4), torch.full((2, 3), -1)
    for number, (left, value) in enumerate(((8, 0.9), (40, 0.1))):
        area = (slice(None), slice(20, 36), slice(left, left + 16))
        images[:, :, 20:36, left : left + 16] = value
        masks[area] = number + 1
        boxes[:, number] = torch.tensor([left + 8, 28, 16, 16]) / size
        classes[:, number] = 5 + number
    return images, masks, boxes, classes


def test_no_variation_changes_nothing():
    given = squares()
    for before, after in zip(given, vary(*given, STILL), strict=True):
        torch.testing.assert_close(before.float(), after.float(), atol=1e-5, rtol=0)


def test_boxes_masks_and_pixels_move_together():
    torch.manual_seed(0)
    given = squares()
    for _ in range(20):
        images, masks, boxes, classes = vary(*given, Variation(shift=0.2, zoom=0.3, contrast=0.0, brightness=0.0))
        for row in range(2):
            for number in range(2):
                inside = masks[row] == number + 1
                if classes[row, number] < 0:
                    assert not inside.any()
                    continue
                rows, columns = inside.any(dim=1).nonzero(), inside.any(dim=0).nonzero()
                found = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 64
                centre, half = boxes[row, number, :2], boxes[row, number, 2:] / 2
                torch.testing.assert_close(torch.cat((centre - half, centre + half)), found, atol=1.5 / 64, rtol=0)
                middle = images[row, 0][inside].median()
                torch.testing.assert_close(middle, torch.tensor((0.9, 0.1)[number]), atol=0.02, rtol=0)


def test_what_is_out_of_sight_is_left_out_and_numbers_have_no_gaps():
    images, masks, boxes, classes = squares()
    classes[0, 0] = -1
    batch = flattened(images, masks.masked_fill(masks == 1, 0).long(), boxes, classes)
    assert batch["batch_idx"].tolist() == [0, 1, 1] and batch["cls"].flatten().tolist() == [6, 5, 6]
    assert batch["masks"][0].unique().tolist() == [0, 1] and batch["masks"][1].unique().tolist() == [0, 2]
    far = vary(*squares(), Variation(shift=0.0, zoom=0.0, contrast=0.0, brightness=0.0))
    assert (far[3] >= 0).sum() == 4
    # Nothing of the objects is left when a picture is moved by more than its side.
    gone = [vary(*squares(), Variation(shift=3.0, zoom=0.0)) for _ in range(10)]
    assert any((classes < 0).all() and (images - PADDING).abs().max() < 0.35 for images, _, _, classes in gone)
