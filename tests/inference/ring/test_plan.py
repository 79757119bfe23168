"""Which layers stay: sums, spread, monotony; and amounts of memory as people write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moai.inference.ring.plan import bytes_of, more_residents, planned, spread, told

SIZES = st.lists(st.integers(1, 1000), min_size=1, max_size=40)
SLOTS = st.integers(2, 5)


@settings(max_examples=200, deadline=None)
@given(SIZES, SLOTS, st.integers(0, 45_000))
def test_a_plan_holds_every_layer_once_and_fits(sizes, slots, budget):
    plan = planned(budget, sizes, slots)
    if plan is None:
        assert sum(sizes) > budget and (len(sizes) <= slots or slots * max(sizes) > budget)
        return
    assert sorted(plan.resident + plan.streamed) == list(range(len(sizes)))
    largest = max((sizes[layer] for layer in plan.streamed), default=0)
    taken = sum(sizes[layer] for layer in plan.resident) + plan.slots * largest
    assert taken == plan.bytes(sizes) <= budget
    assert plan.slots == (slots if plan.streamed else 0)
    assert not plan.streamed or len(plan.streamed) > slots


@settings(max_examples=200, deadline=None)
@given(SIZES, SLOTS, st.integers(0, 45_000), st.integers(0, 20_000))
def test_more_memory_streams_no_more_layers(sizes, slots, budget, more):
    less, larger = planned(budget, sizes, slots), planned(budget + more, sizes, slots)
    if less is not None:
        assert larger is not None and len(larger.streamed) <= len(less.streamed)


@given(st.integers(1, 60).flatmap(lambda layers: st.tuples(st.just(layers), st.integers(1, layers))), SLOTS)
def test_streamed_layers_are_spread_evenly(numbers, slots):
    layers, streamed = numbers
    passing = spread(layers, streamed, slots).streamed
    assert len(set(passing)) == streamed and passing[0] >= 0 and passing[-1] < layers
    round_the_ring = [*passing[1:], passing[0] + layers]
    gaps = [after - before for before, after in zip(passing, round_the_ring, strict=True)]
    assert max(gaps) - min(gaps) <= 1


@settings(max_examples=100, deadline=None)
@given(SIZES, SLOTS, st.integers(0, 45_000), st.integers(-100, 20_000))
def test_what_stays_between_prompts_fits(sizes, slots, budget, room):
    plan = planned(budget, sizes, slots)
    if plan is None:
        return
    staying = more_residents(plan, sizes, room)
    assert staying <= set(plan.streamed) and sum(sizes[layer] for layer in staying) <= max(0, room)
    assert staying == set(plan.streamed) or room < (len(staying) + 1) * max(sizes[layer] for layer in plan.streamed)


def test_amounts():
    assert bytes_of("8GB") == 8 * 10**9 and bytes_of(" 7.5 gib") == 7.5 * 2**30 and bytes_of("500MB") == 500 * 10**6
    assert told(5_120_000_000) == "5.1 GB" and told(2_300_000) == "2.3 MB"
    for nonsense in ("", "8", "GB", "-8GB", "0GB", "8 G", "nanGB", "1e3GB", "٨GB", "8GBB", "9999999999TB"):
        with pytest.raises(ValueError, match=r"is no amount of memory; write it as 8GB, 7\.5GiB or 500MB"):
            bytes_of(nonsense)
