"""Sparse layers on the fast path: the plain path's answers, and whom the tokens took."""

import pytest
import torch
from torch import nn

from moai.inference import fuse_weights, generate
from moai.inference.generation import FastGeneration, Request, fast_generation
from moai.inference.products import DenseWeights, Projection, SparseWeights, feed_token
from moai.models.sparse.record import ExpertRecord, loads
from moai.models.sparse.remaking import sparse_layers
from tests.conftest import single
from tests.inference.test_generation import GREEDY, both, talkative

SPARSE = dict(sparse_experts=6, sparse_shared=1, sparse_active=2, sparse_width=16)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sparse_shared": 0, "sparse_renormalise": True, "sparse_scaling": 2.0},
        {"sparse_pruned": 2, "plora_rank": 0},
        {"sparse_routes": 12, "sparse_first": 0},
    ],
)
def test_greedy_ids_equal_the_plain_path(changes, inputs):
    model = talkative(**SPARSE | changes)
    for given in (inputs, single(inputs, 0), {"input_ids": torch.tensor([[5, 6, 7, 8]])}):
        fast, plain = both(model, given, **GREEDY)
        assert torch.equal(fast, plain)
    fuse_weights(model)
    fast, plain = both(model, inputs, **GREEDY)
    assert torch.equal(fast, plain)


@torch.no_grad()
def test_one_token_a_row_is_fed_as_the_layer_feeds_it():
    """Few rows gather their experts' weights, many in bf16 take the grouped product."""
    torch.manual_seed(0)
    model = talkative(**SPARSE)
    layer, engine = sparse_layers(model)[1], fast_generation(model)
    weights = engine.decoder.layers[1].feed_forward
    for rows in (1, 3, 40):
        states = torch.randn(rows, 32)
        output, chosen = feed_token(states, weights)
        torch.testing.assert_close(output, layer(states[:, None])[:, 0], rtol=1e-5, atol=1e-6)
        assert torch.equal(chosen, layer.gate(states)[2])
    low = talkative(**SPARSE).bfloat16()
    weights, layer = fast_generation(low).decoder.layers[1].feed_forward, sparse_layers(low)[1]
    compiled = torch.compile(feed_token, backend="eager", fullgraph=True, dynamic=False)
    for rows in (3, 40):
        states = torch.randn(rows, 32).bfloat16()
        for feed in (feed_token, compiled):
            torch.testing.assert_close(feed(states, weights)[0], layer(states[:, None])[:, 0], rtol=0.05, atol=0.02)


def test_it_takes_down_whom_tokens_took(inputs):
    model = talkative(**SPARSE)
    plain, fast, captured = ExpertRecord(), ExpertRecord(), ExpertRecord()
    ids = model.generate(**inputs, **GREEDY, experts=plain)
    assert torch.equal(generate(model, **inputs, **GREEDY, experts=fast, fast=True), ids)
    engine = FastGeneration(model, compiled=False)
    engine.capture(None)
    for record in (ExpertRecord(), captured):  # the second pass reads what the first has left
        assert torch.equal(engine(model, Request.of(model, inputs | GREEDY | {"experts": record})), ids)
    assert list(plain.layers) == list(plain.said) == [1, 2]
    for record in (fast, captured):
        for layer, routes in plain.layers.items():
            assert torch.equal(record.said[layer], plain.said[layer]) and plain.said[layer].shape == (2, 8, 2)
            for kind in ("all", "image", "words"):
                torch.testing.assert_close(loads(record.layers[layer], kind), loads(routes, kind))
    masked = ExpertRecord(inputs["attention_mask"].bool())
    assert Request.of(model, inputs | GREEDY | {"experts": masked}) is None, "a mask is of the caller's own places"


def test_compiled_steps_say_the_same(inputs):
    model = talkative(**SPARSE)
    engine = FastGeneration(model, compiled=False)
    expected = engine(model, Request.of(model, inputs | GREEDY))
    torch._dynamo.reset()
    engine.decoder._layer = torch.compile(engine.decoder._layer, backend="eager", dynamic=False, fullgraph=True)
    assert torch.equal(engine(model, Request.of(model, inputs | GREEDY)), expected)


def test_hooks_on_sparse_layers_go_the_plain_way(inputs):
    model = talkative(**SPARSE)
    assert Request.of(model, inputs | GREEDY) is not None
    hook = sparse_layers(model)[1].gate.register_forward_hook(lambda *_: None)
    assert Request.of(model, inputs | GREEDY) is None
    hook.remove()
    sparse_layers(model)[2].experts.act_fn = nn.Sequential(nn.SiLU())
    assert Request.of(model, inputs | GREEDY) is None


def test_dense_and_sparse_layers_are_told_apart():
    layers = fast_generation(talkative(**SPARSE)).decoder.layers
    assert isinstance(layers[0].feed_forward, DenseWeights) and isinstance(layers[1].feed_forward, SparseWeights)
    assert isinstance(layers[1].feed_forward.shared.gated, Projection)
