"""An upcycled model starts as the dense one, down to the picture's own branches, and says what it cannot be made of."""

import json

import pytest
import torch

from moai.cli import main
from moai.loading import load_model
from moai.models.adapters.lora import add_lora
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.record import ExpertRecord, loads
from moai.models.sparse.upcycle import upcycle
from tests.conftest import opened, tiny_config
from weights import NANO


def difference(one, other, inputs) -> float:
    with torch.no_grad():
        return float((one(**inputs).logits - other(**inputs).logits).abs().max())


@pytest.mark.parametrize("sizes", [(3, 1, 4, 1), (3, 0, 2, 0), (2, 1, 1, 2), (6, 2, 3, 0)])
@pytest.mark.parametrize("product", ["eager", "grouped_mm", "batched_mm"])
def test_it_starts_as_the_dense_model(model, inputs, sizes, product):
    parts, shared, copies, first = sizes
    before = {name: one.clone() for name, one in model.state_dict().items()}
    made = upcycle(model, parts, shared, copies, first=first)
    made.config._experts_implementation = product
    assert difference(made, model, inputs) < 1e-5
    text = {"input_ids": torch.tensor([[5, 6, 7, 8]])}
    assert difference(made, model, text) < 1e-5
    assert sorted(sparse_layers(made)) == list(range(first, 3))
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_without_partial_lora(inputs):
    dense = opened(MoAIForConditionalGeneration(tiny_config(plora_rank=0))).eval()
    assert difference(upcycle(dense, 3, 1, 2), dense, inputs) < 1e-5


def test_copies_share_the_work(model, inputs):
    record = ExpertRecord()
    with torch.no_grad():
        made = upcycle(model, 3, 1, 4)
        made(**inputs, experts=record)
    shares = loads(record.layers[1]).view(4, 2)
    assert torch.equal(shares[:, 0], shares[:, 1])  # a token takes one whole copy
    assert (shares[:, 0] > 0).sum() > 1


def test_parameters_are_counted(model):
    made = upcycle(model, 3, 1, 4)
    dense, sparse = model.language_model.layers[1].mlp, sparse_layers(made)[1]
    width = sum(dense.get_submodule(name).weight.numel() for name in ("gate_proj", "up_proj", "down_proj"))
    routed = sparse.experts.gate_up_proj.numel() + sparse.experts.down_proj.numel()
    shared = sum(one.numel() for name, one in sparse.shared_experts.named_parameters() if "lora" not in name)
    assert routed == 4 * width * 2 / 3 and shared == width / 3
    # Active: the shared part and two of eight routed ones are as much as the dense layer.
    assert shared + routed * sparse.gate.active / sparse.experts.num_experts == width


def test_what_is_fresh_is_seeded_and_breaks_the_symmetry(model):
    exact, fresh = upcycle(model, 3, 1, 4), upcycle(model, 3, 1, 4, fresh=0.5, seed=3)
    old, new = (sparse_layers(one)[1].experts.gate_up_proj for one in (exact, fresh))
    changed = (old != new).any(dim=2)
    assert torch.equal(changed.sum(dim=1), torch.full((8,), 16))  # half of 16 units, gate and up
    assert torch.equal(changed[:, :16], changed[:, 16:])
    assert torch.equal(old[0], old[2]) and not torch.equal(new[0], new[2])
    assert new.std().item() == pytest.approx(old.std().item(), rel=0.2)
    again = upcycle(model, 3, 1, 4, fresh=0.5, seed=3).state_dict()
    assert all(torch.equal(one, again[name]) for name, one in fresh.state_dict().items())
    other = upcycle(model, 3, 1, 4, fresh=0.5, seed=4)
    assert not torch.equal(sparse_layers(other)[1].experts.gate_up_proj, new)
    for name in ("shared_experts.gate_proj.weight", "shared_experts.down_proj.weight"):
        assert torch.equal(sparse_layers(fresh)[1].get_parameter(name), sparse_layers(exact)[1].get_parameter(name))


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ((5, 1, 2), "feed-forwards of width 48 cannot be cut into 5 parts of equal width"),
        ((4, 1, 2), "expert width 12 is not a multiple of 8, which the grouped product needs"),
        ((3, 3, 2), "3 of 3 parts cannot be shared: one at least is routed; use 0 to 2"),
        ((3, -1, 2), "-1 of 3 parts cannot be shared: one at least is routed; use 0 to 2"),
        ((0, 0, 2), "parts and copies must be at least 1, got 0 and 2"),
        ((3, 1, 0), "parts and copies must be at least 1, got 3 and 0"),
        ((3, 1, 2, 1.5), "the fresh share is 1.5, but must be in 0..1"),
        ((3, 1, 2, 0.0, 0, 3), "sparse_first is 3, but the decoder has layers 0 to 2; nothing would be sparse"),
        ((3, 1, 2, 0.0, 0, -1), "sparse_first is -1, but must be at least 0"),
    ],
)
def test_what_cannot_be_is_one_sentence(model, sizes, sentence):
    with pytest.raises(ValueError) as error:
        upcycle(model, *sizes)
    assert str(error.value) == sentence


def test_what_is_no_plain_dense_model(model):
    with pytest.raises(ValueError, match="the model is sparse already: it has 4 experts in each sparse layer"):
        upcycle(upcycle(model, 3, 1, 2), 2, 0, 2)
    add_lora(model, 2, 4.0)
    with pytest.raises(ValueError, match="the model has LoRA beside its weights; merge it first"):
        upcycle(model, 3, 1, 2)


@torch.no_grad()
def test_the_command(tmp_path, capsys):
    target = tmp_path / "sparse"
    assert main(["upcycle", "moai-nano", str(target), "--copies", "2"]) == 0
    told = capsys.readouterr().out
    assert "layers 1 to 7 with 1 shared and 6 routed experts of width 256, 3 of them active" in told
    assert json.loads((target / "config.json").read_text())["dtype"] == "bfloat16"
    dense, processor = load_model(str(NANO), torch.float32)
    sparse, _ = load_model(str(target), torch.float32)
    ids = torch.tensor([processor.conversation_ids([{"role": "user", "content": "Why?"}], with_image=True)])
    pixels = {name: torch.randn(1, 3, 48, 48) for name in ("pixel_values", "panoptic_pixel_values")}
    assert difference(dense, sparse, {"input_ids": ids, "aux_input_ids": ids[:, -4:], **pixels}) < 1e-4
    for given, sentence in (
        (["moai-nano", str(target)], f"{target} is there already; name a folder that is new or empty"),
        (["nothing/here/at-all", str(tmp_path / "x")], "no MoAI model could be loaded from"),
        ([str(target), str(tmp_path / "x")], "the model is sparse already"),
        (["moai-nano", str(tmp_path / "x"), "--parts", "3"], "cannot be cut into 3 parts"),
    ):
        assert main(["upcycle", *given]) == 2
        assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "x").exists()
