"""Models aggregated with themselves, and copies merged, compute what they did; unlike ones are refused."""

import copy

import pytest
import torch

from moai.models.adapters.lora import add_lora
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.merge import aggregate, merge
from moai.models.sparse.prune import prune
from moai.models.sparse.upcycle import upcycle
from tests.conftest import opened, tiny_config
from tests.models.sparse.conftest import SPARSE

ALL = {1: torch.ones(6), 2: torch.ones(6)}


@torch.no_grad()
def same(one, other, inputs) -> None:
    torch.testing.assert_close(one(**inputs).logits, other(**inputs).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("rest", ["first", "mean"])
def test_with_itself_it_is_the_same(inputs, renormalise, rest):
    model = opened(MoAIForConditionalGeneration(tiny_config(**SPARSE, sparse_renormalise=renormalise))).eval()
    made = aggregate([model, model], rest)
    assert (made.config.sparse_experts, made.config.sparse_active) == (12, 4)
    same(made, model, inputs)
    pruned = prune(model, 4, ALL)
    same(aggregate([pruned, pruned], rest), pruned, inputs)


@torch.no_grad()
def test_experts_of_both_and_the_rest_of_one_or_of_their_mean(sparse_model, inputs):
    torch.manual_seed(4)
    other = opened(copy.deepcopy(sparse_model))
    made = aggregate([sparse_model, other], active=2)
    ours, theirs = (sparse_layers(one)[1].experts.down_proj for one in (sparse_model, other))
    assert torch.equal(sparse_layers(made)[1].experts.down_proj, torch.cat((ours, theirs)))
    assert made.config.sparse_active == 2 and made(**inputs).logits.isfinite().all()
    norm = "language_model.norm.weight"
    assert torch.equal(made.get_parameter(norm), sparse_model.get_parameter(norm))
    mean = aggregate([sparse_model, other], "mean").get_parameter(norm)
    torch.testing.assert_close(mean, (sparse_model.get_parameter(norm) + other.get_parameter(norm)) / 2)


@torch.no_grad()
def test_copies_become_one_and_nothing_changes(model, inputs, tmp_path):
    sparse = upcycle(model, 3, 1, 4)
    usage = {index: torch.tensor([1.0, 1, 3, 3, 2, 2, 0, 0]) for index in (1, 2)}
    made = merge(sparse, 2, usage)
    layer = sparse_layers(made)[1]
    assert layer.expert_of.tolist() == [0, 1] * 4 and layer.experts.down_proj.shape[0] == 2
    same(made, sparse, inputs)
    made.save_pretrained(tmp_path)
    same(MoAIForConditionalGeneration.from_pretrained(tmp_path).eval(), sparse, inputs)


@torch.no_grad()
def test_means_weigh_by_use(sparse_model, inputs):
    layer = sparse_layers(sparse_model)[1]
    for weight in (layer.experts.gate_up_proj, layer.experts.down_proj):
        weight[3] = weight[0] + 0.01 * torch.randn_like(weight[0])
    usage = {1: torch.tensor([3.0, 9, 9, 1, 9, 9]), 2: torch.tensor([1.0, 2, 3, 4, 5, 6])}
    made = merge(sparse_model, 5, usage)
    merged = sparse_layers(made)[1]
    assert merged.expert_of.tolist() == [0, 1, 2, 0, 3, 4]
    weight = layer.experts.down_proj
    torch.testing.assert_close(merged.experts.down_proj[0], 0.75 * weight[0] + 0.25 * weight[3])
    assert torch.equal(merged.experts.down_proj[1:], weight[[1, 2, 4, 5]])
    assert torch.equal(merged.gate.weight, layer.gate.weight)
    same(merge(sparse_model, 6, usage), sparse_model, inputs)


def test_what_cannot_be_is_one_sentence(sparse_model, model, inputs):
    merged = merge(sparse_model, 3, ALL)
    for made in (lambda: prune(merged, 2, ALL), lambda: merge(merged, 2, ALL), lambda: aggregate([merged, merged])):
        with pytest.raises(ValueError, match="the model's experts were merged already, so several routes lead to one"):
            made()
    for keep in (0, 7):
        with pytest.raises(ValueError, match=f"6 experts cannot be merged into {keep}; use 1 to 6"):
            merge(sparse_model, keep, ALL)
    with pytest.raises(ValueError, match="the model has no sparse layers"):
        aggregate([sparse_model, model])
    with pytest.raises(ValueError, match="unknown rest 'last'; allowed are first, mean"):
        aggregate([sparse_model, sparse_model], "last")
    wider = MoAIForConditionalGeneration(tiny_config(**SPARSE | {"sparse_width": 24}))
    sentence = r"model 2 does not fit the first: language_model.layers.1.mlp.experts.gate_up_proj is \(6, 48, 32\), not"
    with pytest.raises(ValueError, match=sentence):
        aggregate([sparse_model, wider])
    scaled = MoAIForConditionalGeneration(tiny_config(**SPARSE, sparse_scaling=2.0))
    with pytest.raises(ValueError, match=r"model 2 does not fit the first: its sparse_scaling is 2\.0, not 1\.0"):
        aggregate([sparse_model, scaled])
    with pytest.raises(ValueError, match="13 of 12 routed experts cannot be active"):
        aggregate([sparse_model, sparse_model], active=13)
    add_lora(sparse_model, 2, 4.0)
    with pytest.raises(ValueError, match="the model has LoRA beside its weights; merge it first"):
        merge(sparse_model, 3, ALL)
