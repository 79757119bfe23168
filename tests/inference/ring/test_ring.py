"""A decoder whose layers pass through slots says what a resident one says, bit for bit."""

import copy
import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import StoppingCriteriaList

from moai.assistant import MoAI
from moai.inference import fuse_weights, generate
from moai.inference.decoding import PLAIN
from moai.inference.generation import FastGeneration, Request, fast_generation, forget
from moai.inference.prefill import Prefill
from moai.inference.products import Projection
from moai.inference.quantization import quantize
from moai.inference.ring import stream_layers
from moai.inference.ring.needs import Needs, decoder_needs, inner_width, looking_needs
from moai.inference.ring.packing import ALIGNMENT, PARTIAL_LORA, packed, plain_tensors
from moai.inference.ring.plan import bytes_of, spread
from moai.inference.ring.streaming import _host_memory, ring_of
from moai.models.fusion import GateRecord
from moai.streaming import StopWhenAsked
from tests.conftest import tiny_config
from tests.inference.test_generation import GREEDY, talkative

CPU = torch.device("cpu")
LAYERS = 5
ROOMY = 10**12


def deep(**changes):
    """A model of `LAYERS` layers."""
    text = tiny_config().text_config
    text.num_hidden_layers = LAYERS
    return talkative(text_config=text, **changes)


@pytest.fixture(scope="module")
def dense():
    """One model for all, which nobody changes."""
    return deep()


@pytest.fixture
def ringed(dense):
    """The same on the host, every layer through two slots."""
    return through_slots(stream_layers(copy.deepcopy(dense), CPU, ROOMY))


def through_slots(model, streamed: int = LAYERS, slots: int = 2, ahead: bool = True):
    """Has so many of its layers pass through so many slots."""
    ring = ring_of(model.language_model)
    ring.ahead = ahead
    ring.arrange(spread(LAYERS, streamed, slots))
    return model


@torch.no_grad()
def logits_of(model, inputs, steps: int = 4, compiled: bool | None = None) -> torch.Tensor:
    """Logits of the prompt and of a few steps behind it, on the fast path."""
    engine = FastGeneration(model, compiled)
    bucket = engine.decoder.bucket(2, inputs["input_ids"].shape[1] + steps)
    found = [engine.begin(model, Request.of(model, inputs | GREEDY), bucket)]
    for _ in range(steps):
        engine.decoder.step(bucket)
        found.append(bucket.logits[:2].clone())
    return torch.stack(found)


@pytest.mark.parametrize("tier", [None, "int8"])
def test_logits_and_ids_are_those_of_resident_weights(dense, inputs, tier):
    if tier is not None:
        pytest.importorskip("torchao")
    ringed, resident = stream_layers(copy.deepcopy(dense), CPU, ROOMY, tier), copy.deepcopy(dense)
    fuse_weights(resident)
    if tier is not None:
        quantize(resident, tier, CPU)
    logits, ids = logits_of(resident, inputs), generate(resident, **inputs, **GREEDY, fast=True)
    for streamed, slots, ahead in ((5, 2, True), (5, 3, True), (5, 5, True), (3, 2, True), (5, 2, False), (0, 2, True)):
        through_slots(ringed, streamed, slots, ahead)
        assert torch.equal(logits_of(ringed, inputs), logits)
        assert torch.equal(generate(ringed, **inputs, **GREEDY, fast=True), ids)
    # transformers' own path has the weights from the host.
    assert torch.equal(ringed.generate(**inputs, **GREEDY), resident.generate(**inputs, **GREEDY))


def test_slots_are_used_again_and_hold_no_more_layers_than_they_are(ringed, inputs):
    ring = ring_of(ringed.language_model)
    held: list[set[int]] = []
    seen: list[tuple[int, int]] = []
    for _ in range(3):
        for number, layer in enumerate(ring.passing()):
            held.append({slot.number for slot in ring._slots})
            seen.append((number, layer.input_norm.data_ptr()))
            expected = ring.layers[number].unpacked(ring.layers[number].memory)
            assert all(map(torch.equal, plain_tensors(layer, PARTIAL_LORA), plain_tensors(expected, PARTIAL_LORA)))
    assert all(len(one) == 2 for one in held)
    assert len({place for _, place in seen}) == 2 and [number for number, _ in seen] == 3 * list(range(LAYERS))


def test_partial_lora_comes_for_prompts_alone(ringed):
    ring = ring_of(ringed.language_model)
    loaded = []
    for whole in (False, True, False):
        for _ in ring.passing(whole, whole):
            loaded.append(next(slot.loaded for slot in ring._slots if slot.number == len(loaded) % LAYERS))
    bodies, sizes = [layer.body for layer in ring.layers], ring.sizes
    assert loaded == [*bodies, *sizes, *bodies] and all(map(int.__lt__, bodies, sizes))


def test_a_layer_is_one_aligned_piece_of_memory(dense):
    kept = {name: value.clone() for name, value in dense.state_dict().items()}
    model = stream_layers(copy.deepcopy(dense), CPU, ROOMY)
    for layer, made in zip(model.language_model.layers, model.language_model.streaming.layers, strict=True):
        storages = {parameter.untyped_storage().data_ptr() for parameter in layer.parameters()}
        assert storages == {made.memory.untyped_storage().data_ptr()}
        tree = made.unpacked(made.memory)
        assert all(one.data_ptr() % ALIGNMENT == made.memory.data_ptr() % ALIGNMENT for one in plain_tensors(tree))
        assert len(tree.attention.weights) == 1  # joined, as products want them
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    tree = (Projection((torch.ones(3, 2),), (), (3,), None), None, {"kept": 1})
    made = packed(tree, lambda size: torch.empty(size, dtype=torch.uint8))
    again = made.unpacked(made.memory.clone())
    assert torch.equal(again[0].weights[0], tree[0].weights[0]) and again[1:] == tree[1:]


def test_residents_leave_for_larger_batches(dense, inputs):
    model = stream_layers(copy.deepcopy(dense), CPU, ROOMY)
    ring, engine = ring_of(model.language_model), fast_generation(model)
    needs = [decoder_needs(model.config.text_config, 48, 4, rows, 512, rows, rows) for rows in (1, 2, 4)]
    needed = [one.kept + one.passing for one in needs]
    ring.budget = needed[1] + 3 * max(ring.sizes)
    bucket = engine.decoder.bucket(1, 100)
    assert not ring.plan.streamed  # the room of a second row
    assert torch.equal(generate(model, **inputs, **GREEDY, fast=True), dense.generate(**inputs, **GREEDY))
    assert len(ring.plan.streamed) == 4 and ring.plan.bytes(ring.sizes) + needed[1] <= ring.budget
    assert engine.decoder.bucket(1, 100) is not bucket and len(ring.plan.streamed) == 4
    with pytest.raises(torch.OutOfMemoryError, match="of layers do not fit beside"):
        engine.decoder.bucket(4, 100)
    engine.decoder.bucket(2, 100)  # as before
    del engine, bucket
    forget()
    assert ring.plan is None and ring_of(model.language_model) is ring
    assert torch.equal(generate(model, **inputs, **GREEDY, fast=True), dense.generate(**inputs, **GREEDY))


def test_between_prompts_layers_stay_in_what_a_prompt_leaves(dense, ringed, inputs):
    ring, layers = ring_of(ringed.language_model), dense.config.text_config
    kept, passing, stepping = decoder_needs(layers, 48, 4, 2, 512, 2, 2)
    ring.budget = kept + passing + 2 * max(ring.sizes)
    expected = dense.generate(**inputs, **GREEDY)
    for _ in range(2):
        assert torch.equal(generate(ringed, **inputs, **GREEDY, fast=True), expected)
        assert len(ring.plan.streamed) == LAYERS and ring._staying.keys() == set(range(LAYERS))
        assert kept + stepping + ring.plan.bytes(ring.sizes) + sum(ring.sizes) <= ring.budget
    ring.make_way()
    assert not ring._staying
    for staying in (3, 1):
        ring.budget = kept + stepping + (2 + staying) * max(ring.sizes)
        ring._fit([Needs(kept, stepping, stepping)])
        for _ in range(2):
            taken = [layer.input_norm.data_ptr() for layer in ring.passing()]
        assert len(ring._staying) == staying == len(ring.between) and len(set(taken)) == staying + 2
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("moai.inference.ring.layers.Slot", Exhausted)
        ring.make_way()
        assert len(list(ring.passing())) == LAYERS and not ring._staying and not ring.between


class Exhausted:
    def __init__(self, *_):
        raise torch.OutOfMemoryError("no more")


def test_two_engines_share_the_budget(ringed):
    ring = ring_of(ringed.language_model)
    first, second = FastGeneration(ringed), FastGeneration(ringed)
    kept, passing, _ = decoder_needs(ringed.config.text_config, 48, 4, 1, 512, 1, 1)
    ring.budget = 2 * kept + passing + 2 * max(ring.sizes) - 1  # passes take turns
    first.decoder.bucket(1, 100)
    with pytest.raises(torch.OutOfMemoryError):
        second.decoder.bucket(1, 100)
    del first
    gc.collect()
    second.decoder.bucket(1, 100)


def test_what_ends_in_the_middle_leaves_it_usable(dense, ringed, inputs):
    expected = dense.generate(**inputs, **GREEDY)
    ring = ring_of(ringed.language_model)

    class Falls(Exception):
        pass

    for end in range(LAYERS + 1):
        for whole in (True, False):
            with pytest.raises(Falls):
                for number, _ in enumerate(ring.passing(whole, whole)):
                    if number == min(end, LAYERS - 1):
                        raise Falls
        assert torch.equal(generate(ringed, **inputs, **GREEDY, fast=True), expected)
    stop = threading.Event()
    stop.set()
    stopped = generate(
        ringed, **inputs, **GREEDY, fast=True, stopping_criteria=StoppingCriteriaList([StopWhenAsked(stop)])
    )
    assert stopped.shape[1] == inputs["input_ids"].shape[1] + 1
    assert torch.equal(generate(ringed, **inputs, **GREEDY, fast=True), expected)


def test_one_compiled_layer_serves_residents_and_slots(dense, inputs):
    torch._dynamo.reset()
    model = through_slots(stream_layers(copy.deepcopy(dense), CPU, ROOMY), 3)
    counted = CompileCounterWithBackend("aot_eager")
    engine = FastGeneration(model)
    engine.decoder._layer = torch.compile(engine.decoder._layer, backend=counted, dynamic=False, fullgraph=True)
    expected = dense.generate(**inputs, **GREEDY)
    assert torch.equal(engine(model, Request.of(model, inputs | GREEDY)), expected)
    assert counted.frame_count == 1


def test_threads_take_turns(dense, ringed, inputs):
    expected = dense.generate(**inputs, **GREEDY)
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda _: generate(ringed, **inputs, **GREEDY, fast=True), range(6)))
    assert all(torch.equal(one, expected) for one in said)


def test_copies_answer_too(ringed, dense, inputs):
    expected = dense.generate(**inputs, **GREEDY)
    for again in (copy.deepcopy(ringed), pickle.loads(pickle.dumps(ringed))):
        assert ring_of(again.language_model) is not ring_of(ringed.language_model)
        assert torch.equal(generate(again, **inputs, **GREEDY, fast=True), expected)


def test_without_a_limit_nothing_changes(dense, inputs):
    model = copy.deepcopy(dense)
    engine = FastGeneration(model)
    assert ring_of(model.language_model) is None and engine.decoder.ring is None
    assert engine.decoder.passing() is engine.decoder.layers is engine.decoder.passing(whole=True)


def test_refusals(dense):
    with pytest.raises(ValueError, match=r"1 MB of memory is \d+ MB too little: 2 layers must fit beside \d+ MB that"):
        stream_layers(copy.deepcopy(dense), CPU, 10**6)
    odd = copy.deepcopy(dense)
    odd.language_model.layers[0].mlp.register_forward_hook(lambda *given: None)
    with pytest.raises(ValueError, match="memory can be limited for decoders like Llama's, without adapters"):
        stream_layers(odd, CPU, ROOMY)


def test_a_limit_needs_a_cuda_device_and_an_amount(model_folder):
    for settings, sentence in (
        ({"memory": "8GB"}, "a limit of memory needs a CUDA device; leave it out on cpu"),
        ({"memory": "much"}, "'much' is no amount of memory; write it as"),
    ):
        with pytest.raises(ValueError, match=sentence):
            MoAI.from_pretrained(model_folder, device="cpu", **settings)
        with pytest.raises(ValueError, match=sentence):
            MoAI.build("any", "any", device="cpu", **settings)


@pytest.mark.parametrize("pruned", [0, 2])
def test_sparse_layers_pass_through_slots(inputs, pruned):
    settings = {"sparse_experts": 4, "sparse_width": 16, "sparse_active": 2, "sparse_shared": 1, "sparse_first": 1}
    resident = deep(**settings, sparse_pruned=pruned)
    ringed = through_slots(stream_layers(copy.deepcopy(resident), CPU, ROOMY), 4)
    fuse_weights(resident)
    assert torch.equal(logits_of(ringed, inputs), logits_of(resident, inputs))
    ids = generate(resident, **inputs, **GREEDY, fast=True)
    assert torch.equal(generate(ringed, **inputs, **GREEDY, fast=True), ids)
    assert torch.equal(ringed.generate(**inputs, **GREEDY), ids)


def test_needs_grow_with_what_is_asked(dense, ringed, inputs):
    text = dense.config.text_config
    needs = [decoder_needs(text, 48, 4, *given) for given in ((1, 512, 1, 1), (4, 512, 4, 1), (4, 512, 4, 4))]
    assert needs[1].kept == needs[2].kept == 4 * needs[0].kept == 4 * 512 * 2 * LAYERS * 2 * 8 * 4
    assert needs[0].passing < needs[1].passing < needs[2].passing
    ring = ring_of(ringed.language_model)
    before = ring.planned
    generate(ringed, **inputs, **GREEDY, fast=True)
    kept, passing, stepping = decoder_needs(text, 48, 4, 2, 512, 2, 2)
    assert stepping < passing
    looked = looking_needs(dense.config, 4, 4)
    assert ring.planned == before + kept + max(passing, looked.passing) and looked.kept == 0
    assert inner_width(ring.layers[0].unpacked(ring.layers[0].memory)) == 48


def test_prompts_and_pictures_come_in_parts_where_memory_needs_it(dense, inputs):
    model = stream_layers(copy.deepcopy(dense), CPU, ROOMY)
    four = {name: torch.cat((value, value)) for name, value in inputs.items()}
    expected, ring, engine = dense.generate(**four, **GREEDY), ring_of(model.language_model), fast_generation(model)
    kept, passing, _ = decoder_needs(dense.config.text_config, 48, 4, 4, 512, 4, 2)
    ring.budget = kept + passing + 2 * max(ring.sizes)
    assert torch.equal(generate(model, **four, **GREEDY, fast=True), expected)
    assert engine.decoder.at_once == 2 and len(ring.plan.streamed) == LAYERS
    looks = {name: value for name, value in four.items() if "pixel" in name or "aux" in name}
    whole = dense.encode(**looks)
    ring._needs.clear()
    ring.budget = looking_needs(dense.config, 4, 2).passing + 2 * max(ring.sizes)
    torch.testing.assert_close(engine.encoded(model, looks), whole)
    assert ring.planned == ring.budget
    ring.budget -= 1
    ring._needs.clear()
    with pytest.raises(torch.OutOfMemoryError):
        engine.encoded(model, looks)


def test_fewer_prompts_are_held_where_memory_in_pieces_does_not_do(dense, inputs, monkeypatch):
    model = stream_layers(copy.deepcopy(dense), CPU, ROOMY)
    engine, four = fast_generation(model), {name: torch.cat((value, value)) for name, value in inputs.items()}
    made, width = Prefill._heads, inputs["input_ids"].shape[1]

    def heads(prefill, part, index, *rest):
        if index == 3 and len(part.residual) > most * width:
            raise torch.OutOfMemoryError("pieces")
        return made(prefill, part, index, *rest)

    monkeypatch.setattr(Prefill, "_heads", heads)
    for most in (1, 4):  # noqa: B007  which `heads` reads
        records = {"gates": GateRecord()}
        assert torch.equal(generate(model, **four, **records, **GREEDY, fast=True), dense.generate(**four, **GREEDY))
        assert engine.decoder.at_once == 1, "what was too much once is not tried again"
        assert all(len(one.language) == 4 for one in records["gates"].layers.values())
    most = 0
    with pytest.raises(torch.OutOfMemoryError, match="pieces"):
        generate(model, **four, **GREEDY, fast=True)


def test_quantised_sparse_layers_are_told(dense):
    pytest.importorskip("torchao")
    with pytest.warns(UserWarning, match="int8 leaves their routed experts as they are"):
        stream_layers(deep(sparse_experts=4, sparse_width=16, sparse_active=2), CPU, ROOMY, "int8")


def test_an_assistant_within_a_limit_answers_as_one_without(model_folder, monkeypatch):
    picture = torch.zeros(40, 40, 3, dtype=torch.uint8).numpy()
    asked = (picture, "What does the sign say?")
    whole = MoAI.from_pretrained(model_folder, device="cpu", experts_from="photo", experts="det")
    monkeypatch.setattr("moai.loading.check_memory", lambda memory, place: None if memory is None else bytes_of(memory))
    limited = MoAI.from_pretrained(model_folder, device="cpu", perception=whole.perception, memory="300MB")
    assert ring_of(limited.model.language_model).budget < 300e6
    assert limited.ask(*asked, max_new_tokens=5).text == whole.ask(*asked, max_new_tokens=5).text
    with pytest.raises(ValueError, match=r"100 MB of memory is [\d.]+ MB too little: 2 layers must fit"):
        MoAI.from_pretrained(model_folder, device="cpu", perception=whole.perception, memory="100MB")


def test_captured_steps_end_with_the_places_of_the_layers(dense, inputs):
    class Captured:
        replayed = 0

        def replay(self):
            self.replayed += 1

    model = stream_layers(copy.deepcopy(dense), CPU, ROOMY)
    engine, ring, captured = fast_generation(model), ring_of(model.language_model), Captured()
    bucket = engine.decoder.bucket(1, 100)
    assert engine.decoder.in_place
    bucket.graphs[PLAIN] = captured
    engine.decoder.step(bucket)
    assert captured.replayed == 1 and engine.decoder.bucket(1, 100).graphs
    ring.arrange(spread(LAYERS, 0, 2))  # all are there again, elsewhere
    engine.decoder.step(bucket)
    assert captured.replayed == 1 and not engine.decoder.bucket(1, 100).graphs and engine.decoder.in_place
    bucket.graphs[PLAIN] = captured
    through_slots(model)
    engine.decoder.step(bucket)
    assert not engine.decoder.in_place and not engine.decoder.bucket(1, 100).graphs and captured.replayed == 1


def test_without_pinned_memory_layers_come_all_the_same(monkeypatch):
    plain = torch.empty

    def none_pinned(*shape, pin_memory=False, **settings):
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return plain(*shape, **settings)

    monkeypatch.setattr(torch, "empty", none_pinned)
    with pytest.warns(UserWarning, match="no more pinned memory to give, so layers will come several times"):
        assert len(_host_memory(16)) == 16
