"""What no token took can go without a trace, whether the router renormalises or not."""

import pytest
import torch

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.prune import prune
from moai.models.sparse.record import ExpertRecord, loads
from moai.models.sparse.upcycle import upcycle
from tests.conftest import opened, tiny_config
from tests.models.sparse.conftest import SPARSE


def used(model, inputs) -> dict[int, torch.Tensor]:
    record = ExpertRecord()
    with torch.no_grad():
        model(**inputs, experts=record)
    return {index: loads(routes) for index, routes in record.layers.items()}


@pytest.mark.parametrize("renormalise", [False, True])
def test_what_is_never_used_goes_without_a_trace(renormalise, tmp_path):
    fields = SPARSE | {"sparse_experts": 16, "sparse_renormalise": renormalise}
    model = opened(MoAIForConditionalGeneration(tiny_config(**fields))).eval()
    words = {"input_ids": torch.tensor([[5, 6, 7, 8]])}  # four tokens take eight experts at most
    importance = used(model, words)
    assert all(share.count_nonzero() > 2 for share in importance.values())
    with torch.no_grad():
        expected = model(**words).logits
        made = prune(model, 9, importance)
        torch.testing.assert_close(made(**words).logits, expected, atol=1e-5, rtol=1e-5)
        made.save_pretrained(tmp_path)
        again = MoAIForConditionalGeneration.from_pretrained(tmp_path).eval()
        torch.testing.assert_close(again(**words).logits, expected, atol=1e-5, rtol=1e-5)
        # And once more, of what is left.
        twice = prune(made, 8, used(made, words))
        torch.testing.assert_close(twice(**words).logits, expected, atol=1e-5, rtol=1e-5)
    assert sparse_layers(twice)[1].experts.gate_up_proj.shape[0] == 8 == twice.config.sparse_experts
    assert twice.config.sparse_pruned == (0 if renormalise else 8)
    assert (sparse_layers(twice)[1].gate.pruned is None) == renormalise


def test_all_kept_is_the_model(sparse_model, inputs):
    made = prune(sparse_model, 6, {1: torch.rand(6), 2: torch.rand(6)})
    expected = sparse_model.state_dict()
    assert all(torch.equal(one, expected[name]) for name, one in made.state_dict().items())
    assert (made.config.sparse_experts, made.config.sparse_pruned, made.config.sparse_routes) == (6, 0, 0)


@torch.no_grad()
def test_the_most_important_stay(sparse_model, inputs):
    before = {name: one.clone() for name, one in sparse_model.state_dict().items()}
    made = prune(sparse_model, 2, {1: torch.tensor([0.0, 3, 1, 0, 2, 0]), 2: torch.tensor([5.0, 0, 0, 0, 0, 6])})
    for index, kept in ((1, [1, 4]), (2, [0, 5])):
        ours, theirs = sparse_layers(made)[index], sparse_layers(sparse_model)[index]
        assert torch.equal(ours.experts.down_proj, theirs.experts.down_proj[kept])
        assert torch.equal(ours.gate.weight, theirs.gate.weight[kept])
        gone = [one for one in range(6) if one not in kept]
        assert torch.equal(ours.gate.pruned, theirs.gate.weight[gone])
        branches, whole = ours.experts.branches, theirs.experts.branches
        assert torch.equal(branches.gate_up.lora_B.weight, whole.gate_up.lora_B.weight[kept])
    assert made(**inputs).logits.isfinite().all()
    assert made.lm_head.weight is made.language_model.embed_tokens.weight
    assert all(torch.equal(one, before[name]) for name, one in sparse_model.state_dict().items())


def test_one_copy_of_an_upcycled_model_is_enough(model, inputs):
    made = upcycle(model, 3, 1, 4)
    whole = torch.tensor([0.0, 0, 1, 1, 0, 0, 0, 0])  # the parts of the second copy
    small = prune(made, 2, {1: whole, 2: whole})
    with torch.no_grad():
        torch.testing.assert_close(small(**inputs).logits, model(**inputs).logits, atol=1e-5, rtol=1e-5)


def test_what_cannot_be_is_one_sentence(sparse_model, model):
    some = {1: torch.rand(6), 2: torch.rand(6)}
    for keep in (1, 7):
        with pytest.raises(ValueError) as error:
            prune(sparse_model, keep, some)
        assert str(error.value) == f"{keep} of 6 experts cannot be kept: 2 are active for each token; use 2 to 6"
    with pytest.raises(ValueError, match="the model has no sparse layers that `moai upcycle` makes"):
        prune(model, 2, some)
