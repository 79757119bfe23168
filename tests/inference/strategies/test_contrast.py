"""The contrast's formula, and its weak sides."""

import pytest
import torch
from transformers import MixtralConfig, MixtralForCausalLM, OlmoeConfig, OlmoeForCausalLM

from moai.inference.choosing import contrasted
from moai.inference.strategies.contrast import Contrast
from moai.inference.strategies.weak import check_possible, routers_of, weakened
from moai.models.fusion import GateRecord
from tests.inference.test_generation import talkative

SPARSE = dict(
    vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=2, max_position_embeddings=64,
)  # fmt: skip


def mixtral(top_k: int = 2) -> MixtralForCausalLM:
    torch.manual_seed(0)
    config = MixtralConfig(**SPARSE, num_local_experts=4, num_experts_per_tok=top_k)
    return wild(MixtralForCausalLM(config))


def olmoe() -> OlmoeForCausalLM:
    torch.manual_seed(0)
    return wild(OlmoeForCausalLM(OlmoeConfig(**SPARSE, num_experts=6, num_experts_per_tok=3)))


def wild(model):
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter.data, 0, 0.4)
    return model.eval()


def test_a_case_by_hand():
    strong = torch.tensor([[2.0, 1.9, -5.0, 2.0]])
    weak = torch.tensor([[2.0, 0.0, -50.0, 2.0]])
    scores = contrasted(strong, weak, 0.5, 0.1)
    assert scores[0, 2] == float("-inf")  # far below the best, whatever the weak side says
    torch.testing.assert_close(scores[0, [0, 1, 3]], torch.tensor([2.0, 2.85, 2.0]))
    assert scores.argmax() == 1
    assert contrasted(strong, weak, 0.0, 0.1).argmax() == 0  # ties as argmax
    assert contrasted(strong, weak, 1.0, 1.0).argmax() == 0
    assert torch.equal(contrasted(strong, strong, 1.7, 1e-9), strong * 2.7 - strong * 1.7)
    tensors = contrasted(strong, weak, torch.tensor(0.5), torch.tensor(0.1))
    torch.testing.assert_close(tensors, scores)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strength": -0.5}, r"contrast is -0.5; allowed is 0 to 2"),
        ({"plausible": 0}, "plausible is 0; allowed is above 0, up to 1"),
        ({"weak": "worse"}, "there is no weak side 'worse'; allowed are no-aux, second"),
        ({"weak": "rank0"}, "there is no weak side 'rank0'"),
    ],
)
def test_sentences(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Contrast(**settings)


def test_what_a_model_has_not_cannot_be_weakened():
    model = talkative()
    with pytest.raises(ValueError, match="rank2 needs a model with sparse layers; this one is dense"):
        check_possible("rank2", model)
    with pytest.raises(ValueError, match="second needs a model with mixers; this one has none"):
        check_possible("second", mixtral())
    with pytest.raises(ValueError, match="rank5 needs 5 experts in each sparse layer; there are 4"):
        check_possible("rank5", mixtral())
    check_possible("rank2", mixtral()), check_possible("no-aux", model)


@pytest.mark.parametrize("make", [mixtral, olmoe])
def test_of_sparse_layers_the_expert_of_one_rank_speaks(make):
    model, ids = make(), torch.arange(24).view(3, 8)
    layer = model.model.layers[0].mlp
    states = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    routers = routers_of(model)
    assert len(routers) == 2
    logits = routers[0](states)[0]
    wanted = logits.float().argsort(dim=-1, descending=True)[:, 1]
    with torch.no_grad(), weakened(model, "rank2"):
        model(ids)
        # The layer by itself is a batch of as many rows as the model was last called with: one token more than divides.
        routed = routers[0](torch.cat((states, states[:1])))
    assert torch.equal(routed[2][:5, 0], wanted) and torch.equal(routed[1][:, 0], torch.ones(6))
    assert routed[1][:, 1:].abs().sum() == 0
    assert layer(states[None]).shape == (1, 5, 16)


def test_half_a_batch_is_weak():
    model, ids = mixtral(), torch.arange(24).view(3, 8)
    with torch.no_grad():
        strong = model(ids).logits
        with weakened(model, "rank2"):
            weak = model(ids).logits
        with weakened(model, "rank2", slice(3, None)):
            twins = model(torch.cat((ids, ids))).logits
        assert torch.equal(model(ids).logits, strong)
    torch.testing.assert_close(twins, torch.cat((strong, weak)), atol=1e-5, rtol=1e-5)
    assert (strong - weak).abs().max() > 0.1


def test_the_first_rank_of_one_is_the_model_itself():
    model, ids = mixtral(top_k=1), torch.arange(8)[None]
    with torch.no_grad():
        strong = model(ids).logits
        with weakened(model, "rank1"):
            torch.testing.assert_close(model(ids).logits, strong)
        with weakened(model, "rank1-raw"):
            torch.testing.assert_close(model(ids).logits, strong)


@pytest.mark.parametrize("weak", ["rank2", "second", "backbone"])
def test_everything_is_as_before_after_an_exception(weak):
    model = mixtral() if weak == "rank2" else talkative()
    with pytest.raises(RuntimeError, match="stop"), weakened(model, weak):
        raise RuntimeError("stop")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert getattr(model, "routing", "gates") == "gates"


def test_mixers_listen_to_their_second_choice(inputs):
    model = talkative()
    usual, second, without = GateRecord(), GateRecord(), GateRecord()
    with torch.no_grad():
        model(**inputs, gates=usual)
        with weakened(model, "second"):
            model(**inputs, gates=second)
        with weakened(model, "no-aux"):
            model(**inputs, gates=without)
    first = min(usual.layers)
    order = usual.layers[first].language.argsort(dim=-1, descending=True)
    assert torch.equal(second.layers[first].language.argmax(dim=-1), order[..., 1])
    assert set(second.layers[first].language.unique().tolist()) == {0.0, 1.0}
    for layer in without.layers.values():
        assert not layer.language[..., 0].any() and not layer.image[..., 0].any()
        torch.testing.assert_close(layer.language.sum(-1), torch.ones(layer.language.shape[:2]))
