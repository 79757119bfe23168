"""The ring on a GPU: the same answers, within the budget, and no slot is written while something reads it."""

import copy
import gc
import random

import pytest
import torch
from transformers import LlamaConfig

from moai.inference import fuse_weights
from moai.inference.generation import FastGeneration, Request, forget
from moai.inference.quantization import check_tier, quantize
from moai.inference.ring import Ring, stream_layers
from moai.inference.ring.needs import decoder_needs
from moai.inference.ring.packing import packed
from moai.inference.ring.plan import spread
from moai.inference.ring.streaming import ring_of
from tests.conftest import tiny_config
from tests.inference.ring.test_ring import logits_of
from tests.inference.test_generation import GREEDY

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
CUDA = torch.device("cuda")
LAYERS = 8


@pytest.fixture(scope="module")
def dense():
    """A model in bf16 on the host whose layers are 40 MB each."""
    from moai.models.modeling import MoAIForConditionalGeneration

    torch.manual_seed(0)
    fields = tiny_config().text_config.to_dict() | {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": LAYERS, "num_attention_heads": 16,
        "num_key_value_heads": 8, "head_dim": 64,
    }  # fmt: skip
    config = tiny_config(text_config=LlamaConfig(**fields), tie_word_embeddings=True)
    return MoAIForConditionalGeneration(config).to(torch.bfloat16).eval()


@pytest.fixture
def there(inputs):
    return {
        name: value.to(CUDA, torch.bfloat16) if value.is_floating_point() else value.to(CUDA)
        for name, value in inputs.items()
    }


@pytest.mark.parametrize("tier", [None, "int8", "int4"])
def test_logits_and_ids_are_those_of_resident_weights(dense, there, tier):
    if tier is not None:
        pytest.importorskip("torchao")
        check_tier(tier, CUDA)
    resident = copy.deepcopy(dense)
    resident = resident.to(CUDA) if tier is None else quantize(resident, tier, CUDA)
    fuse_weights(resident)
    engine = FastGeneration(resident, compiled=False)
    request = Request.of(resident, there | GREEDY)
    ids, logits = engine(resident, request), logits_of(resident, there, compiled=False)
    ringed = stream_layers(copy.deepcopy(dense), CUDA, 10**12, tier)
    assert all(layer.memory.is_pinned() for layer in ringed.language_model.streaming.layers)
    for streamed, slots in ((LAYERS, 2), (LAYERS, 3), (LAYERS, LAYERS), (5, 2), (0, 2)):
        ring_of(ringed.language_model).arrange(spread(LAYERS, streamed, slots))
        for _ in range(3):
            assert torch.equal(logits_of(ringed, there, compiled=False), logits)
            assert torch.equal(FastGeneration(ringed, compiled=False)(ringed, request), ids)
    compiled = FastGeneration(ringed)
    assert torch.equal(compiled(ringed, request), compiled(ringed, request))
    # transformers' own path borrows the weights from the host.
    torch.testing.assert_close(ringed(**there).logits, resident(**there).logits, atol=0.05, rtol=0.05)
    assert {parameter.device.type for parameter in ringed.language_model.layers.parameters()} == {"cpu"}


def test_steps_are_one_graph_while_all_layers_are_there(dense, there):
    model = stream_layers(copy.deepcopy(dense), CUDA, 10**12)
    engine, ring = FastGeneration(model), ring_of(model.language_model)
    request = Request.of(model, there | GREEDY)
    expected = engine(model, request)
    length = there["input_ids"].shape[1] + GREEDY["max_new_tokens"]
    assert engine.decoder.bucket(2, length).graphs and torch.equal(engine(model, request), expected)
    ring.arrange(spread(LAYERS, LAYERS, 2))
    assert torch.equal(engine(model, request), expected) and not engine.decoder.bucket(2, length).graphs
    ring.arrange(spread(LAYERS, 0, 2))
    assert torch.equal(engine(model, request), expected) and engine.decoder.bucket(2, length).graphs


@pytest.mark.parametrize("tier", [None, "int8"])
def test_the_budget_holds(dense, there, tier):
    if tier is not None:
        pytest.importorskip("torchao")
    forget()
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    model = stream_layers(copy.deepcopy(dense), CUDA, 10**12, tier)
    streaming = model.language_model.streaming
    sizes = [len(layer.memory) for layer in streaming.layers]
    kept, passing, _ = decoder_needs(model.config.text_config, streaming.width, 2, 2, 512, 2, 2)
    ring = ring_of(model.language_model)
    ring.budget = kept + passing + 4 * max(sizes)
    budget = streaming.always + ring.budget
    total = torch.cuda.get_device_properties(CUDA).total_memory
    torch.cuda.reset_peak_memory_stats()
    # The allocator keeps pieces of 20 MB; what it has beyond the tensors is not the plan's.
    torch.cuda.set_per_process_memory_fraction((before + budget + 64 * 2**20) / total)
    try:
        engine = FastGeneration(model)
        request = Request.of(model, there | GREEDY)
        assert torch.equal(engine(model, request), engine(model, request))
        assert len(ring.plan.streamed) == LAYERS - 2
        assert torch.cuda.max_memory_allocated() - before <= budget
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_no_slot_is_written_while_it_is_read():
    generator = torch.Generator().manual_seed(0)
    layers = [(torch.randint(0, 100, (1 << 20,), generator=generator),) for _ in range(6)]
    expected = [int(layer[0].sum()) for layer in layers]
    packs = [packed(layer, lambda size: torch.empty(size, dtype=torch.uint8, pin_memory=True)) for layer in layers]
    draw = random.Random(0)
    ring = Ring(packs, CUDA, 10**12)
    for _ in range(200):
        streamed = draw.randint(3, 6)
        ring.arrange(spread(6, streamed, draw.randint(2, 3)))
        ring.between = frozenset(draw.sample(ring.plan.streamed, draw.randint(0, streamed)))
        sums = []
        for _ in range(3):
            last = draw.choice((5, 5, draw.randrange(6)))  # now and then a pass ends in the middle
            for number, (layer,) in enumerate(ring.passing(prompt=draw.random() < 0.4)):
                if draw.random() < 0.3:
                    torch.cuda._sleep(draw.randrange(1_000_000))
                sums.append((number, layer.sum()))
                if draw.random() < 0.3:
                    with torch.cuda.stream(ring._copies):
                        torch.cuda._sleep(draw.randrange(1_000_000))
                if number == last:
                    break
        assert all(int(found) == expected[number] for number, found in sums)
