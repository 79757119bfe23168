"""The fast path says what the plain one says, and keeps to its bounds."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from moai.inference import fuse_weights, generate, generation
from moai.inference.choosing import choose, sampling_order
from moai.inference.decoding import Way, bucket_length, bucket_rows
from moai.inference.generation import FastGeneration, Request, aligned, fast_generation
from moai.models.fusion import GateRecord
from moai.models.modeling import MoAIForConditionalGeneration
from tests.conftest import opened, single, tiny_config

GREEDY = {"max_new_tokens": 9, "do_sample": False, "eos_token_id": None}


def talkative(**changes) -> MoAIForConditionalGeneration:
    """A random model that does not say one word for ever, as one with tied embeddings does."""
    torch.manual_seed(2)
    text = changes.pop("text_config", tiny_config().text_config)
    text.tie_word_embeddings = False
    model = opened(MoAIForConditionalGeneration(tiny_config(text_config=text, tie_word_embeddings=False, **changes)))
    torch.nn.init.normal_(model.language_model.embed_tokens.weight)
    return model.eval()


@pytest.fixture
def model():
    return talkative()


def both(model, inputs, **settings) -> tuple[torch.Tensor, torch.Tensor]:
    """What the fast path and transformers' own say."""
    return generate(model, **inputs, **settings, fast=True), model.generate(**inputs, **settings)


def test_greedy_ids_equal_the_plain_path(model, inputs):
    fast, plain = both(model, inputs, **GREEDY)
    assert torch.equal(fast, plain)
    assert len(set(plain[0, -9:].tolist())) > 2
    for row in range(2):
        fast, plain = both(model, single(inputs, row), **GREEDY)
        assert torch.equal(fast, plain)


def test_other_shapes_of_input(model, inputs):
    text = {"input_ids": torch.tensor([[5, 6, 7, 8]])}
    backbone = {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    encoded = model.encode(**{name: inputs[name] for name in inputs if name not in ("input_ids", "attention_mask")})
    kept = {name: inputs[name] for name in ("input_ids", "attention_mask")} | encoded
    masked = inputs | {"prompt_mask": torch.ones_like(inputs["input_ids"])}
    masked["prompt_mask"][:, -2] = 0
    three = {name: torch.cat((value, value[:1])) for name, value in inputs.items()}
    for given in (text, backbone, kept, masked, three):
        fast, plain = both(model, given, **GREEDY)
        assert torch.equal(fast, plain)


def test_fused_weights_say_the_same(model, inputs):
    fuse_weights(model)
    fast, plain = both(model, inputs, **GREEDY)
    assert torch.equal(fast, plain)


@pytest.mark.parametrize("changes", [{"plora_rank": 0}, {"mixer_layers": []}, {"mixer_layers": [1]}])
def test_other_models(inputs, changes):
    fast, plain = both(talkative(**changes), inputs, **GREEDY)
    assert torch.equal(fast, plain)


def test_a_decoder_with_biases(inputs):
    text = tiny_config().text_config
    text.attention_bias = text.mlp_bias = True
    fast, plain = both(talkative(text_config=text), inputs, **GREEDY)
    assert torch.equal(fast, plain)


@torch.no_grad()
def test_logits_after_the_prompt(model, inputs):
    engine = fast_generation(model)
    request = Request.of(model, inputs | GREEDY)
    bucket = engine.decoder.bucket(2, inputs["input_ids"].shape[1] + 4)
    logits = engine.begin(model, request, bucket)
    torch.testing.assert_close(logits, model(**inputs).logits[:, -1], atol=1e-4, rtol=0)


def test_ends_pads_and_stops_like_the_plain_path(model, inputs):
    said = model.generate(**inputs, **GREEDY)[:, -9:]
    for token in {int(said[0, 2]), int(said[1, 4])}:
        ending = {"max_new_tokens": 9, "do_sample": False, "eos_token_id": [token, 63], "pad_token_id": 0}
        fast, plain = both(model, inputs, **ending)
        assert torch.equal(fast, plain)

    class AfterThree(StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return torch.full((len(input_ids),), input_ids.shape[1] >= inputs["input_ids"].shape[1] + 3)

    fast, plain = both(model, inputs, **GREEDY, stopping_criteria=StoppingCriteriaList([AfterThree()]))
    assert torch.equal(fast, plain) and fast.shape[1] == inputs["input_ids"].shape[1] + 3


def test_a_streamer_gets_the_prompt_and_each_token(model, inputs):
    class Heard:
        def __init__(self):
            self.parts, self.ended = [], 0

        def put(self, value):
            self.parts.append(value.flatten().tolist())

        def end(self):
            self.ended += 1

    heard = [Heard(), Heard()]
    one = single(inputs, 0)
    generate(model, **one, **GREEDY, streamer=heard[0], fast=True)
    model.generate(**one, **GREEDY, streamer=heard[1])
    assert heard[0].parts == heard[1].parts and len(heard[0].parts) == 10
    assert heard[0].ended == heard[1].ended == 1


def test_a_second_question_uses_the_same_bucket(model, inputs):
    engine = fast_generation(model)
    generate(model, **inputs, **GREEDY, fast=True)
    bucket = engine.decoder.bucket(2, 80)
    longer = dict(inputs)
    for name, value in (("input_ids", 9), ("attention_mask", 1)):
        longer[name] = torch.cat((inputs[name], torch.full((2, 20), value)), dim=1)
    fast, plain = both(model, longer, **GREEDY)
    assert torch.equal(fast, plain)
    assert fast_generation(model) is engine and engine.decoder.bucket(2, 100) is bucket
    # A larger batch takes the cache, and afterwards the small one still works.
    many = {name: value.repeat(5, *[1] * (value.ndim - 1)) for name, value in inputs.items()}
    for given in (many, inputs):
        fast, plain = both(model, given, **GREEDY)
        assert torch.equal(fast, plain)


def test_a_layer_is_compiled_once_for_a_bucket(model, inputs):
    torch._dynamo.reset()
    counted = CompileCounterWithBackend("aot_eager")
    engine = FastGeneration(model)
    engine.decoder._layer = torch.compile(engine.decoder._layer, backend=counted, dynamic=False, fullgraph=True)
    expected = model.generate(**inputs, **GREEDY)
    assert torch.equal(engine(model, Request.of(model, inputs | GREEDY)), expected)
    assert counted.frame_count == 1
    with torch.inference_mode():
        engine(model, Request.of(model, {name: value.clone() for name, value in inputs.items()} | GREEDY))
    one = single(inputs, 1)
    engine(model, Request.of(model, one | GREEDY))
    assert counted.frame_count == 2


def test_what_it_cannot_do_goes_the_plain_way(model, inputs):
    for settings in (
        {"num_beams": 2}, {"repetition_penalty": 1.3}, {"do_sample": True, "top_k": 5}, {"max_new_tokens": None},
        {"return_dict_in_generate": True}, {"logits_processor": [lambda ids, scores: scores]},
    ):  # fmt: skip
        asked = inputs | {"max_new_tokens": 2} | settings
        assert Request.of(model, asked) is None
        with pytest.raises(ValueError, match="leave out fast=True"):
            generate(model, **asked, fast=True)
    for rope, known in (("linear", True), ("dynamic", False)):
        other = tiny_config()
        other.text_config.rope_parameters = {"rope_type": rope, "factor": 2.0, "rope_theta": 1e4}
        other = opened(MoAIForConditionalGeneration(other)).eval()
        assert (Request.of(other, inputs | GREEDY) is not None) == known
        if known:
            assert torch.equal(generate(other, **inputs, **GREEDY, fast=True), other.generate(**inputs, **GREEDY))


def test_answering_moves_no_weight(model, inputs):
    before = {name: (value.data_ptr(), value.clone()) for name, value in model.state_dict().items()}
    for fast in (None, True):
        generate(model, **inputs, **GREEDY, fast=fast)
    model.generate(**inputs, **GREEDY)
    after = model.state_dict()
    assert all(after[name].data_ptr() == place for name, (place, _) in before.items())
    fuse_weights(model)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, (_, value) in before.items())
    assert after["language_model.layers.1.self_attn.k_proj.weight"].storage_offset() > 0


def test_fused_weights_are_the_storage(model, inputs):
    fuse_weights(model)
    engine = fast_generation(model)
    attention = model.language_model.layers[0].self_attn
    joined = engine.decoder.layers[0].attention.weights
    assert len(joined) == 1 and joined[0].data_ptr() == attention.q_proj.weight.data_ptr()
    assert joined[0].shape[0] == sum(one.out_features for one in (attention.q_proj, attention.k_proj, attention.v_proj))
    places = [parameter.data_ptr() for parameter in model.parameters()]
    fuse_weights(model)
    assert places == [parameter.data_ptr() for parameter in model.parameters()]
    fast, plain = both(model, inputs, **GREEDY)
    assert torch.equal(fast, plain)


@pytest.mark.parametrize("fused", [False, True])
def test_changed_weights_are_noticed(inputs, fused):
    text = tiny_config().text_config
    text.attention_bias = True
    model = talkative(text_config=text)
    if fused:
        fuse_weights(model)
    engine = fast_generation(model)
    attention = model.language_model.layers[0].self_attn
    before, _ = both(model, inputs, **GREEDY)
    with torch.no_grad():
        attention.v_proj.weight.mul_(2)
        attention.v_proj.bias.add_(1)
    assert fast_generation(model) is engine
    fast, plain = both(model, inputs, **GREEDY)
    assert torch.equal(fast, plain) and not torch.equal(fast, before)
    attention.v_proj.weight.data = attention.v_proj.weight.data * -1
    assert fast_generation(model) is not engine
    fast, plain = both(model, inputs, **GREEDY)
    assert torch.equal(fast, plain)
    clone = copy.deepcopy(model)
    assert torch.equal(generate(clone, **inputs, **GREEDY, fast=True), plain)


def test_fused_weights_still_train_and_save(model, inputs, tmp_path):
    fuse_weights(model)
    with torch.inference_mode():
        generate(model, **inputs, **GREEDY, fast=True)
    model(**inputs).logits.sum().backward()
    assert model.language_model.layers[1].self_attn.k_proj.weight.grad.any()
    model.save_pretrained(tmp_path)
    again = MoAIForConditionalGeneration.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(**inputs).logits, model(**inputs).logits)


def test_threads_take_turns(model, inputs):
    asked = [single(inputs, row) for row in (0, 1)] * 10
    alone = [generate(model, **one, **GREEDY, fast=True) for one in asked[:2]]
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda one: generate(model, **one, **GREEDY, fast=True), asked))
    assert all(torch.equal(ids, alone[index % 2]) for index, ids in enumerate(said))


def test_gates_come_with_the_ids(model, inputs):
    records = GateRecord(), GateRecord()
    generate(model, **inputs, **GREEDY, gates=records[0], fast=True)
    model.generate(**inputs, **GREEDY, gates=records[1])
    assert [*records[0].layers] == [*records[1].layers] == model.config.mixer_layers
    for layer, ours in records[0].layers.items():
        theirs = records[1].layers[layer]
        torch.testing.assert_close(ours.image, theirs.image)
        # The fast path moves padding to the other end.
        said = [gates.language[gates.language_mask] for gates in (ours, theirs)]
        torch.testing.assert_close(*said)


def test_sampling_has_the_plain_paths_shares():
    torch.manual_seed(0)
    logits = torch.randn(3, 40) * 3
    for temperature, top_p in ((0.7, 0.8), (1.5, 1.0), (1.0, 1e-6)):
        scores = TopPLogitsWarper(top_p)(None, TemperatureLogitsWarper(temperature)(None, logits))
        shares, order = sampling_order(logits, torch.tensor(temperature), torch.tensor(top_p))
        ours = torch.zeros_like(logits).scatter(1, order, shares)
        torch.testing.assert_close(ours / ours.sum(-1, keepdim=True), scores.softmax(dim=-1))
    many = choose(logits[:1].expand(20000, -1), torch.tensor(1.0), torch.tensor(0.9))
    shares, order = sampling_order(logits[:1], torch.tensor(1.0), torch.tensor(0.9))
    counted = torch.bincount(many, minlength=40)[order[0]] / 20000
    torch.testing.assert_close(counted, shares[0] / shares.sum(), atol=0.02, rtol=0)
    assert torch.equal(choose(logits, None, None), logits.argmax(dim=-1))


def test_sampling_by_the_fast_path(model, inputs):
    settings = {"max_new_tokens": 6, "do_sample": True, "temperature": 3.0, "top_p": 0.95, "top_k": 0}
    torch.manual_seed(0)
    answers = {tuple(generate(model, **inputs, **settings, fast=True)[0].tolist()) for _ in range(4)}
    assert len(answers) > 1
    sure = generate(model, **inputs, **settings | {"top_p": 1e-6, "eos_token_id": None}, fast=True)
    assert torch.equal(sure[:, -6:], generate(model, **inputs, **GREEDY, fast=True)[:, -9:][:, :6])


def test_padding_moves_to_the_right(inputs):
    moved = aligned(inputs)
    assert moved["lengths"].tolist() == inputs["attention_mask"].sum(1).tolist()
    for row in range(2):
        kept = inputs["attention_mask"][row].bool()
        length = int(kept.sum())
        assert torch.equal(moved["input_ids"][row, :length], inputs["input_ids"][row, kept])
        assert moved["prompt_mask"][row].tolist() == [1] * length + [0] * int((~kept).sum())


def test_buckets():
    assert [bucket_rows(rows) for rows in (1, 2, 3, 8, 9)] == [1, 2, 4, 8, 16]
    assert [bucket_length(length) for length in (1, 512, 513, 4096, 4097)] == [512, 512, 1024, 4096, 6144]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("fused", [False, True])
def test_on_cuda_generate_is_fast_by_itself(model, inputs, fused, monkeypatch):
    model.to("cuda")
    monkeypatch.setattr(generation, "COMPILED_FROM", 0 if fused else generation.COMPILED_FROM)
    if fused:
        fuse_weights(model)
    given = {name: value.to("cuda") for name, value in inputs.items()}
    longer = dict(given)
    for name, value in (("input_ids", 9), ("attention_mask", 1)):
        longer[name] = torch.cat((given[name], given[name].new_full((2, 21), value)), dim=1)
    for asked in (given, longer, {name: value[:1] for name, value in given.items()}):
        assert torch.equal(generate(model, **asked, **GREEDY), model.generate(**asked, **GREEDY))
    engine = fast_generation(model)
    assert engine.decoder.compiled == fused and engine.decoder.bucket(2, 80).graphs.keys() == {Way()}
    sampled = {"max_new_tokens": 9, "do_sample": True, "temperature": 3.0, "top_p": 0.95, "top_k": 0}
    answers = {tuple(generate(model, **given, **sampled)[0].tolist()) for _ in range(4)}
    assert len(answers) > 1
