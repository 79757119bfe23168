import numpy as np

from moai.data.drawn.render.ood_images import ood_image


def test_strange_pictures_are_pictures_and_unlike_one_another():
    pictures = [ood_image(64, np.random.default_rng(seed)) for seed in range(60)]
    assert all(one.shape == (64, 64, 3) and one.dtype == np.uint8 for one in pictures)
    assert np.array_equal(pictures[7], ood_image(64, np.random.default_rng(7)))
    # Fine and coarse, grey and coloured, dark and light.
    steps = [np.abs(np.diff(one.astype(int), axis=1)).mean() for one in pictures]
    assert min(steps) < 3 and max(steps) > 25
    greys = [np.ptp(one.astype(int), axis=2).max() <= 1 for one in pictures]
    assert 0.1 < np.mean(greys) < 0.8
    assert min(one.mean() for one in pictures) < 60 and max(one.mean() for one in pictures) > 190
