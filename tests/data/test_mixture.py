"""Mixtures take their shares, each item once, from any position on and whoever reads."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from moai.data.example import Example, Meta
from moai.data.mixture import Mixture
from moai.data.rows import Rows
from moai.data.samples import Samples
from moai.data.skipped import Skipped
from moai.models.modeling import IGNORED

WEIGHTS = st.lists(st.floats(0.02, 50), min_size=1, max_size=5)


class Numbers:
    """Examples that say whose they are and which."""

    def __init__(self, name, class_names=()):
        self.name, self.class_names = name, class_names

    def examples(self, position):
        classes = np.array([[IGNORED, *range(len(self.class_names))]])
        yield Example(turns=[(self.name, str(position))], meta=Meta(patch_classes=classes))


class Turns(Rows):
    """The turns alone, as numbers."""

    def __init__(self):
        self.too_long = Skipped("answers")

    def sample(self, examples, rng):
        for example in examples:
            ((name, number),) = example.turns
            return {"source": np.array(int(name)), "item": np.array(int(number)), "drawn": rng.random()}


def mixture(weights, seed=0):
    return Mixture([(Numbers(str(number)), weight) for number, weight in enumerate(weights)], seed)


@settings(max_examples=80, deadline=None)
@given(WEIGHTS, st.integers(0, 10**9), st.integers(0, 400))
def test_every_item_comes_once_in_its_order_and_shares_are_kept_at_any_length(weights, seed, length):
    mixed = mixture(weights, seed)
    places = [mixed.place(position) for position in range(length)]
    counts = Counter()
    for position, (source, item) in enumerate(places):
        assert item == counts[source]
        counts[source] += 1
        for number, weight in enumerate(weights):
            expected = (position + 1) * weight / sum(weights)
            assert abs(counts[number] - expected) <= len(weights) + 1


@settings(max_examples=40, deadline=None)
@given(WEIGHTS, st.integers(0, 10**9), st.integers(0, 10**12))
def test_a_position_far_away_is_found_as_those_before_it(weights, seed, start):
    mixed = mixture(weights, seed)
    places = [mixed.place(position) for position in range(start, start + 60)]
    assert len(set(places)) == 60
    for source in range(len(weights)):
        items = [item for own, item in places if own == source]
        assert items == list(range(items[0], items[0] + len(items))) if items else True


def test_the_order_is_random_and_the_seed_decides_it():
    first, again, other = ([mixture([1, 1], seed).place(position)[0] for position in range(200)] for seed in (0, 0, 1))
    assert first == again != other
    # Neither in turn nor in blocks.
    changes = sum(one != two for one, two in itertools.pairwise(first))
    assert 100 < changes < 190


def test_alone_a_source_is_as_it_is():
    assert [mixture([3.0]).place(position) for position in (0, 1, 999)] == [(0, 0), (0, 1), (0, 999)]


def read(samples, workers, count):
    loader = DataLoader(samples, batch_size=None, num_workers=workers)
    return [(int(one["source"]), int(one["item"])) for one in itertools.islice(loader, count)]


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_share_the_stream_and_a_run_goes_on_where_it_was(workers):
    samples = Samples(mixture([3, 1]), Turns())
    got = read(samples, workers, 60)
    assert sorted(got) == sorted(mixture([3, 1]).place(position) for position in range(60))
    resumed = read(Samples(mixture([3, 1]), Turns(), position=24), workers, 36)
    assert sorted(resumed) == sorted(got[24:])


def test_what_is_random_about_rows_depends_on_seed_and_position():
    samples = Samples(mixture([1]), Turns(), seed=3)
    assert samples.sample(5) == samples.sample(5)
    assert samples.sample(5)["drawn"] != samples.sample(6)["drawn"]
    assert samples.sample(5)["drawn"] != Samples(mixture([1]), Turns(), seed=4).sample(5)["drawn"]


def test_classes_are_numbered_for_the_whole():
    mixed = Mixture([(Numbers("0", ("cat", "dog")), 1), (Numbers("1", ("dog", "tree")), 1), (Numbers("2"), 1)])
    assert mixed.class_names == ("cat", "dog", "tree")
    named = {}
    for position in range(30):
        (example,) = mixed.examples(position)
        classes = example.meta.patch_classes[0].tolist()
        assert classes[0] == IGNORED
        named[example.turns[0][0]] = [mixed.class_names[number] for number in classes[1:]]
    assert named == {"0": ["cat", "dog"], "1": ["dog", "tree"], "2": []}


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "much", None])
def test_wrong_weights(weight):
    with pytest.raises(ValueError, match=f"the weight of a source must be a positive number, got {weight!r}"):
        Mixture([(Numbers("0"), 1), (Numbers("1"), weight)])
    with pytest.raises(ValueError, match="at least one source"):
        Mixture([])


def test_a_source_with_nothing_ends_with_a_sentence(monkeypatch):
    monkeypatch.setattr("moai.data.samples._MAX_EMPTY", 50)
    empty = Numbers("0")
    empty.examples = lambda position: iter(())
    with pytest.raises(ValueError, match="nothing to learn from at 50 positions in a row"):
        next(iter(Samples(Mixture([(empty, 1)]), Turns())))
