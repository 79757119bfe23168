"""A sparse layer computes its formula whichever product does it, and lives in the model like any other part."""

import pytest
import torch
import torch.nn.functional as F

from moai.inference.quantization import quantize
from moai.inference.strategies.weak import check_possible, weakened
from moai.models.adapters.lora import add_lora, merge_lora
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.layer import SparseFeedForward, sparse_layers
from moai.models.sparse.record import ExpertRecord
from moai.training.stages import freeze_all_but, parameter_groups
from tests.conftest import opened, single, tiny_config
from tests.models.sparse.conftest import SPARSE


def written_out(layer: SparseFeedForward, tokens: torch.Tensor) -> torch.Tensor:
    """Equations 9 to 11 of the paper, a token at a time: (T, D) -> (T, D)."""
    rows = []
    for token in tokens:
        scores = (layer.gate.weight @ token).softmax(dim=0)
        row = layer.shared_experts(token)
        for expert in scores.topk(layer.gate.active)[1]:
            gate, up = (layer.experts.gate_up_proj[expert] @ token).chunk(2)
            row = row + scores[expert] * (layer.experts.down_proj[expert] @ (F.silu(gate) * up))
        rows.append(row)
    return torch.stack(rows)


@torch.no_grad()
def test_it_is_the_formula(sparse_model):
    assert sorted(sparse_layers(sparse_model)) == [1, 2]
    layer = sparse_layers(sparse_model)[1]
    states = torch.randn(2, 5, 32)
    expected = written_out(layer, states.flatten(0, 1)).view_as(states)
    torch.testing.assert_close(layer(states), expected)
    layer.gate.scaling = 3.0
    routed = expected - layer.shared_experts(states)
    torch.testing.assert_close(layer(states), layer.shared_experts(states) + 3 * routed)
    layer.gate.renormalise = True
    assert torch.allclose(layer.gate(states[0])[1].sum(dim=1), torch.tensor(3.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_all_products_agree(sparse_model, inputs, dtype):
    model = sparse_model.to(dtype)
    given = {name: one.to(dtype) if one.is_floating_point() else one for name, one in inputs.items()}
    said = {}
    for product in ("eager", "grouped_mm", "batched_mm"):
        model.config._experts_implementation = product
        said[product] = model(**given).logits.float()
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.3}[dtype]
    for product in ("grouped_mm", "batched_mm"):
        torch.testing.assert_close(said[product], said["eager"], atol=tolerance, rtol=tolerance)


def test_a_model_multiplies_by_groups_unless_told_otherwise(sparse_model, tmp_path):
    def product(model) -> str:
        return sparse_layers(model)[1].experts.config._experts_implementation

    sparse_model.save_pretrained(tmp_path)
    assert product(sparse_model) == product(MoAIForConditionalGeneration.from_pretrained(tmp_path)) == "grouped_mm"
    for name in ("eager", "batched_mm", "grouped_mm"):
        assert product(MoAIForConditionalGeneration.from_pretrained(tmp_path, experts_implementation=name)) == name
    sparse_model.set_experts_implementation("eager")
    assert product(sparse_model) == "eager"


def test_autocast_computes_in_bf16_and_trains(sparse_model, inputs):
    with torch.autocast("cpu", torch.bfloat16):
        loss = sparse_model(**inputs, labels=inputs["input_ids"]).loss
    loss.backward()
    exact = sparse_model(**inputs, labels=inputs["input_ids"]).loss
    assert loss.isfinite() and 0 < abs(loss - exact) < 0.1 * exact
    assert sparse_model.language_model.layers[1].mlp.gate.weight.grad.abs().max() > 0


@pytest.mark.parametrize("product", ["eager", "grouped_mm", "batched_mm"])
def test_gradients_reach_the_router_and_every_expert_with_a_token(sparse_model, inputs, product):
    sparse_model.config._experts_implementation = product
    layer = sparse_layers(sparse_model)[1]
    taken = set()
    layer.gate.register_forward_hook(lambda module, given, output: taken.update(output[2].unique().tolist()))
    sparse_model(**inputs, labels=inputs["input_ids"]).loss.backward()
    reached = layer.experts.gate_up_proj.grad.abs().amax(dim=(1, 2)) > 0
    assert {expert for expert, there in enumerate(reached) if there} == taken
    assert layer.gate.weight.grad.abs().max() > 0
    branches = layer.experts.branches
    assert all(one.grad.abs().max() > 0 for one in branches.parameters())


@torch.no_grad()
def test_partial_lora_is_for_image_tokens_alone(sparse_model, inputs):
    text = {"input_ids": torch.tensor([[5, 6, 7, 8]])}
    said, seen = sparse_model(**text).logits, sparse_model(**inputs).logits
    for layer in sparse_layers(sparse_model).values():
        for one in layer.experts.branches.parameters():
            one.zero_()
    assert torch.equal(sparse_model(**text).logits, said)
    assert (sparse_model(**inputs).logits - seen).abs().max() > 0.01


def test_partial_lora_of_experts_starts_closed_and_trains_as_such():
    model = MoAIForConditionalGeneration(tiny_config(**SPARSE))
    branches = sparse_layers(model)[1].experts.branches
    for branch in (branches.gate_up, branches.down):
        assert branch.lora_A.weight.std() > 0 and not branch.lora_B.weight.any()
    ours = {id(one) for one in branches.parameters()}
    assert ours <= {id(one) for one in parameter_groups(model)["plora"]}
    freeze_all_but(model, ("plora",))
    assert all(one.requires_grad for one in branches.parameters())
    assert not sparse_layers(model)[1].experts.gate_up_proj.requires_grad


@torch.no_grad()
def test_padding_changes_nothing(sparse_model, inputs):
    together = sparse_model(**inputs).logits
    for row in range(2):
        alone = sparse_model(**single(inputs, row)).logits[0]
        torch.testing.assert_close(together[row, -len(alone) :], alone, atol=1e-4, rtol=1e-4)


def test_saved_and_loaded(sparse_model, inputs, tmp_path):
    expected = sparse_model(**inputs).logits
    sparse_model.save_pretrained(tmp_path)
    again, report = MoAIForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert torch.equal(again.eval()(**inputs).logits, expected)


def test_without_sparse_experts_the_model_is_as_it_was(model):
    fields = {name: value for name, value in SPARSE.items() if name != "sparse_experts"}
    torch.manual_seed(0)
    dense = opened(MoAIForConditionalGeneration(tiny_config(**fields)))
    expected = model.state_dict()
    assert list(dense.state_dict()) == list(expected)
    assert not [name for name in expected if "experts" in name or "mlp.gate." in name]
    assert all(torch.equal(one, expected[name]) for name, one in dense.state_dict().items())


def test_lora_beside_the_linears_that_there_are(sparse_model, inputs):
    plain = sparse_model(**inputs).logits
    add_lora(sparse_model, 2, 4.0)
    assert torch.equal(sparse_model(**inputs).logits, plain)
    layers = sparse_model.language_model.layers
    assert hasattr(layers[1].self_attn.q_proj, "lora_A") and hasattr(layers[1].mlp.shared_experts.up_proj, "lora_A")
    merge_lora(sparse_model)
    torch.testing.assert_close(sparse_model(**inputs).logits, plain, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_quantised_are_the_linears_alone(sparse_model, inputs):
    pytest.importorskip("torchao")
    before = sparse_model(**inputs).logits
    experts = sparse_layers(sparse_model)[1].experts.gate_up_proj.clone()
    with pytest.warns(UserWarning, match="has sparse layers; int8 leaves their routed experts as they are"):
        quantize(sparse_model, "int8", torch.device("cpu"))
    assert torch.equal(sparse_layers(sparse_model)[1].experts.gate_up_proj, experts)
    assert 0 < (sparse_model(**inputs).logits - before).abs().max() < 0.5


@torch.no_grad()
def test_its_routers_can_be_weakened(sparse_model, inputs):
    check_possible("rank2", sparse_model)
    strong = sparse_model(**inputs).logits
    with weakened(sparse_model, "rank2"):
        assert (sparse_model(**inputs).logits - strong).abs().max() > 0.01
    assert torch.equal(sparse_model(**inputs).logits, strong)


@torch.no_grad()
def test_compiled_as_one_graph(sparse_model, inputs):
    plain, record = ExpertRecord(), ExpertRecord()
    expected = sparse_model(**inputs, experts=plain).logits
    torch._dynamo.reset()
    for layer in sparse_model.language_model.layers:  # as training compiles them
        layer.compile(backend="eager", fullgraph=True)
    torch.testing.assert_close(sparse_model(**inputs, experts=record).logits, expected)
    assert torch.equal(record.layers[1].chosen, plain.layers[1].chosen)


def test_checkpointing_gives_the_same_gradients(sparse_model, inputs):
    def gradients():
        sparse_model.zero_grad()
        sparse_model(**inputs, labels=inputs["input_ids"], use_cache=False).loss.backward()
        return {name: one.grad.clone() for name, one in sparse_model.named_parameters() if one.grad is not None}

    sparse_model.train()
    sparse_model.vision.eval()
    plain = gradients()
    sparse_model.gradient_checkpointing_enable()
    for name, one in gradients().items():
        torch.testing.assert_close(one, plain[name], msg=name)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sparse_active": 7}, "7 of 6 routed experts cannot be active"),
        ({"sparse_width": 100}, "expert width 100 is not a multiple of 8, which the grouped product needs"),
        ({"sparse_first": 3}, "sparse_first is 3, but the decoder has layers 0 to 2; nothing would be sparse"),
        ({"sparse_shared": -1}, "sparse_shared is -1, but must be at least 0"),
        ({"sparse_active": 0}, "sparse_active is 0, but must be at least 1"),
        ({"sparse_experts": -2}, "sparse_experts is -2, but must be at least 1"),
        ({"sparse_routes": 4}, "4 routes cannot lead to 6 experts; there must be one at least for each"),
        ({"sparse_scaling": 0.0}, "sparse_scaling is 0.0, but must be above 0"),
    ],
)
def test_sizes_that_cannot_be_are_one_sentence(wrong, sentence):
    with pytest.raises(ValueError) as error:
        tiny_config(**SPARSE | wrong)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ({"mlp_bias": True}, "a llama decoder cannot have sparse layers: the feed-forward of layer 1 has biases"),
        (None, "a gpt_neox decoder cannot have sparse layers: layer 1 has no feed-forward of gate_proj, up_proj, down"),
    ],
)
def test_decoders_that_cannot_are_one_sentence(text, sentence):
    config = tiny_config(**SPARSE)
    layers = MoAIForConditionalGeneration(tiny_config()).language_model.layers
    if text is None:
        from moai.models.sparse.layer import check_swiglu

        with pytest.raises(ValueError, match=sentence):
            check_swiglu(layers[1].self_attn, "gpt_neox", 1)
        return
    config.text_config.mlp_bias = True
    with pytest.raises(ValueError, match=sentence):
        MoAIForConditionalGeneration(config)
