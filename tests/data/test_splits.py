"""Scenes that measure are apart from those that train, and every way to train on them is refused."""

import itertools

import pytest

from moai.data import splits
from moai.data.drawn import export
from moai.data.splits import HELD_OUT, HELD_OUT_SEED, HeldOutError, check_training, held_out
from moai.evaluation.drawn.documents import scene_seeds
from moai.training import command
from moai.training.experts import relation_head


def test_no_two_ranges_share_a_seed():
    ranges = [*HELD_OUT.values(), splits.DETECTOR_TRAINING, splits.DETECTOR_VALIDATION]
    for one, other in itertools.combinations(ranges, 2):
        assert one and other and (one.stop <= other.start or other.stop <= one.start)
    check_training(splits.DETECTOR_TRAINING)


def test_the_default_scenes_are_those_of_earlier_measurements():
    firsts = {use: seeds.start for use, seeds in HELD_OUT.items()}
    assert firsts == {
        "validation of the relation head": 5_000_000,
        "accuracy of experts": 9_000_000,
        "speed of experts": 9_500_000,
        "sample answers in training": 1_000_000_000,
        "answers by kind": 1_000_500_000,
        "contribution of experts": 1_000_800_000,
        "the drawn suite": 1_010_000_000,
        "the survey of things": 2**40,
    }
    assert scene_seeds(40) == range(1_010_000_000, 1_010_000_040)
    assert scene_seeds(100_000, 999).stop == splits.DRAWN_SUITE.stop == 1_110_000_000


@pytest.mark.parametrize("seeds", HELD_OUT.values())
def test_each_range_is_refused_from_its_first_seed_to_its_last(seeds):
    for first, last in ((seeds.start, seeds.start), (seeds.stop - 1, seeds.stop - 1), (seeds.start - 9, seeds.start)):
        with pytest.raises(HeldOutError, match="are held out for"):
            check_training(range(first, last + 1))
    assert held_out(seeds.start) and held_out(seeds.stop - 1)


def test_what_may_be_trained_on():
    for seeds in (range(0, 5_000_000), range(6_000_000, 9_000_000), range(10_000_000, HELD_OUT_SEED), range(0)):
        check_training(seeds)
    for seeds, sentence in (
        (range(HELD_OUT_SEED - 1, HELD_OUT_SEED + 1), "seeds 999999999 to 1000000000: "),
        (
            range(5 * HELD_OUT_SEED, 5 * HELD_OUT_SEED + 1),
            "are held out for measurements; train on others below 1000000",
        ),
        (range(-1, 5), "seeds of scenes start at 0, got -1"),
    ):
        with pytest.raises(HeldOutError, match=sentence):
            check_training(seeds)
    assert held_out(7) is None and held_out(5 * HELD_OUT_SEED)


@pytest.mark.parametrize("seed", [5, 9, 1000])
def test_the_relation_head_does_not_train_on_them(seed, tmp_path, capsys):
    with pytest.raises(HeldOutError, match=f"seeds {seed}000000 to {seed}000031: .* are held out for"):
        relation_head.train_relations(tmp_path / "head", scenes=32, seed=seed, workers=1)
    with pytest.raises(SystemExit):
        relation_head.main([str(tmp_path / "head"), "--seed", str(seed)])
    assert "are held out for" in capsys.readouterr().err.splitlines()[-1]
    assert command.main(["--stage", "relations", "--seed", str(seed), "--output", str(tmp_path / "head")]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "are held out for" in sentence
    assert not (tmp_path / "head").exists()


def test_the_relation_head_has_no_more_held_out_scenes_than_there_are(tmp_path):
    with pytest.raises(ValueError, match="must be 2 to 1,000,000, got 1000001"):
        relation_head.train_relations(tmp_path, held_out=1_000_001)


def test_the_detector_gets_no_pictures_of_them(tmp_path, capsys):
    with pytest.raises(HeldOutError, match="are held out for accuracy of experts"):
        export.write_yolo_dataset(tmp_path / "data", 2, 8_999_999, workers=1)
    with pytest.raises(SystemExit):
        export.main([str(tmp_path / "data"), "--count", "2", "--first-seed", "9000000"])
    assert "are held out for accuracy of experts" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
    # They may validate.
    export.write_yolo_dataset(tmp_path / "data", 1, 9_000_000, workers=1, split="val", scale=0.2)


@pytest.mark.parametrize("seed", [HELD_OUT_SEED, 5_000_000])
def test_the_model_does_not_train_on_them(seed, tmp_path, capsys):
    assert command.main(["--stage", "language", "--steps", "1", "--seed", str(seed), "--output", str(tmp_path)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert f"seed {seed}: " in sentence and "are held out for" in sentence
