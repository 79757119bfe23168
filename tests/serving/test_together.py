"""Many askers at once get what each would get alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from moai.assistant import NO_PICTURE, Decoding, MoAI
from moai.models.sparse.upcycle import upcycle
from perception import Perception
from tests.conftest import example_image
from tests.serving.conftest import EXAMPLES

pytest.importorskip("prometheus_client")
from moai.serving.metrics import Metrics
from moai.serving.together.assistant import Together
from moai.serving.together.looker import Looker

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.png"))[:4]
QUESTIONS = ("What does the sign say?", "Why, and how many dogs are there?", "Where is it?", "A dog")


@pytest.fixture(scope="module")
def assistant(model_folder):
    """A tiny random model, which says something else about every picture."""
    given = Perception(experts="seg", segmentation=lambda picture, scene: None)
    assistant = MoAI.from_pretrained(model_folder, device="cpu", perception=given)
    assistant.model.generation_config.eos_token_id = None  # a random model must not stop at once
    return assistant


@pytest.fixture(scope="module")
def together(assistant):
    return Together(assistant, 4, Metrics())


@pytest.fixture(scope="module")
def pictures():
    return [example_image(name, 0.25) for name in NAMES]


def ask(together, picture, question, halt=None, emit=lambda *piece: None, count=1, **decoding):
    messages = [{"role": "user", "content": question}]
    prompt = together.prompt_ids(messages, picture is not NO_PICTURE)
    return together.say(picture, messages, prompt, Decoding(**decoding), count, emit, halt or threading.Event())


def test_sixteen_at_once_are_answered_as_one_by_one(assistant, together, pictures):
    asked = [
        (pictures[number % 4], QUESTIONS[number // 4], {"max_new_tokens": 3 + 5 * (number % 3), "moai": number != 7})
        for number in range(16)
    ]
    expected = [assistant.ask(picture, question, **how) for picture, question, how in asked]
    assert len({answer.text for answer in expected}) > 6
    start = threading.Barrier(16)

    def one(picture, question, how):
        start.wait()
        return together.ask(picture, question, **how)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda given: one(*given), asked))
    for answer, wanted in zip(answers, expected, strict=True):
        assert answer.text == wanted.text and answer.usage == wanted.usage
        assert [gate.layer for gate in answer.gates] == [gate.layer for gate in wanted.gates]
        for gate, other in zip(answer.gates, wanted.gates, strict=True):
            assert gate.image == pytest.approx(other.image, abs=1e-5)
    samples = {one.name: one.value for metric in together.metrics.registry.collect() for one in metric.samples}
    assert samples["moai_batch_rows_sum"] > samples["moai_batch_rows_count"]  # they were written side by side


def test_experts_of_a_sparse_decoder_are_those_of_one_by_one(assistant, pictures):
    sparse = MoAI(upcycle(assistant.model, 3, 1, 3, fresh=0.5).eval(), assistant.processor, assistant.perception)
    asked = [(pictures[number % 4], QUESTIONS[number], {"max_new_tokens": 4 + 3 * number}) for number in range(4)]
    expected = [sparse.ask(picture, question, **how) for picture, question, how in asked]
    together = Together(sparse, 4, Metrics())
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda given: together.ask(*given[:2], **given[2]), asked))
    for answer, alone in zip(answers, expected, strict=True):
        assert answer.text == alone.text and len(answer.experts) == 2
        for told, wanted in zip(answer.experts, alone.experts, strict=True):
            for side in ("image", "words", "answer"):
                assert getattr(told, side) == pytest.approx(getattr(wanted, side), abs=1e-5)


def test_a_short_answer_does_not_wait_for_a_long_one(together, pictures):
    began, seen = threading.Event(), together.encode(pictures[0])
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(ask, together, seen, QUESTIONS[0], emit=lambda *piece: began.set(), max_new_tokens=150)
        assert began.wait(60)
        short = ask(together, seen, QUESTIONS[1], max_new_tokens=2)
        assert short[0].usage.new_tokens == 2 and not long.done()
        assert long.result()[0].usage.new_tokens == 150


def test_a_long_prompt_moves_in_beside_others(assistant, together, pictures):
    long = " ".join(["dog"] * 60)
    began, seen = threading.Event(), together.encode(pictures[0])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, together, seen, QUESTIONS[0], emit=lambda *piece: began.set(), max_new_tokens=60)
        assert began.wait(60)
        second = ask(together, seen, long, max_new_tokens=5)
    assert first.result()[0].text == assistant.ask(pictures[0], QUESTIONS[0], max_new_tokens=60).text
    assert second[0].text == assistant.ask(pictures[0], long, max_new_tokens=5).text


def test_a_seed_draws_the_same_whatever_runs_beside_it(together, pictures):
    seen = together.encode(pictures[1])
    drawing = {"temperature": 1.5, "top_p": 0.95, "max_new_tokens": 12}
    alone = [ask(together, seen, QUESTIONS[0], seed=seed, **drawing)[0].text for seed in (7, 8)]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(ask, together, seen, QUESTIONS[2], max_new_tokens=30, temperature=one) for one in (0, 1)]
        beside = [pool.submit(ask, together, seen, QUESTIONS[0], seed=seed, **drawing) for seed in (7, 8)]
        assert [one.result()[0].text for one in beside] == alone
        assert all(one.result() for one in others)
    both = ask(together, seen, QUESTIONS[0], count=2, seed=7, **drawing)
    assert [one.text for one in both] == alone


def test_choices_that_cannot_differ_are_written_once(together, pictures):
    heard = []
    answers = ask(
        together,
        together.encode(pictures[0]),
        QUESTIONS[0],
        count=3,
        emit=lambda *one: heard.append(one),
        max_new_tokens=6,
    )
    assert len({id(answer) for answer in answers}) == 1
    for number in range(3):
        assert "".join(piece for index, piece in heard if index == number) == answers[0].text


def test_stop_means_stop(together, pictures):
    seen, stops, began = together.encode(pictures[0]), [threading.Event() for _ in range(7)], threading.Semaphore(0)

    def listen(*piece):
        began.release()

    with ThreadPoolExecutor(7) as pool:  # four are written, three wait
        asked = [
            pool.submit(ask, together, seen, QUESTIONS[0], halt=stop, emit=listen, max_new_tokens=200) for stop in stops
        ]
        for _ in range(4):
            assert began.acquire(timeout=60)
        for stop in stops:
            stop.set()
        lengths = [one.result()[0].usage.new_tokens for one in asked]
    assert max(lengths) < 200 and sum(lengths) < 4 * 100
    assert ask(together, seen, QUESTIONS[0], max_new_tokens=3)[0].text


def test_the_stream_of_the_page_is_written_beside_others(assistant, together, pictures):
    stream = together.stream(together.encode(pictures[2]), QUESTIONS[0], max_new_tokens=12)
    assert "".join(stream) == stream.answer.text == assistant.ask(pictures[2], QUESTIONS[0], max_new_tokens=12).text
    left = together.stream(together.encode(pictures[2]), QUESTIONS[0], max_new_tokens=200)
    next(iter(left))
    assert left.answer.usage.new_tokens < 200


def test_without_a_picture(assistant, together):
    expected = assistant.chat(None, [{"role": "user", "content": QUESTIONS[3]}], max_new_tokens=6)
    assert ask(together, NO_PICTURE, QUESTIONS[3], max_new_tokens=6)[0].text == expected.text and expected.gates == []


def test_before_anyone_asks_steps_of_every_size_are_taken(assistant):
    together = Together(assistant, 4, Metrics())
    together.warm_up()
    samples = {
        one.labels.get("le"): one.value
        for one in together.metrics.rows.collect()[0].samples
        if one.name.endswith("bucket")
    }
    assert samples["1.0"] > 0 and samples["4.0"] > samples["2.0"] > samples["1.0"]


def test_a_stop_text_ends_a_row_alone(assistant, together, pictures):
    whole = assistant.ask(pictures[0], QUESTIONS[0], max_new_tokens=20)
    stop = whole.text[len(whole.text) // 2 :][:3]
    answer = ask(together, together.encode(pictures[0]), QUESTIONS[0], max_new_tokens=20, stop=[stop])[0]
    assert answer.text == whole.text.split(stop)[0].strip() and not answer.usage.cut
    assert answer.text == assistant.ask(pictures[0], QUESTIONS[0], max_new_tokens=20, stop=[stop]).text


def test_an_error_reaches_those_whom_it_concerns(together, pictures, monkeypatch):
    seen = together.encode(pictures[0])
    with monkeypatch.context() as broken:
        broken.setattr(together._writer, "model", None)
        with pytest.raises(AttributeError):
            ask(together, seen, QUESTIONS[0])
    assert ask(together, seen, QUESTIONS[0], max_new_tokens=3)[0].text


def test_a_model_that_the_fast_path_does_not_know_is_asked_alone(assistant, pictures):
    expected = assistant.ask(pictures[0], QUESTIONS[0], max_new_tokens=6).text
    hook = assistant.model.language_model.layers[0].register_forward_hook(lambda *given: None)
    try:
        pieces = []
        other = Together(assistant, 2, Metrics())
        answer = ask(
            other, other.encode(pictures[0]), QUESTIONS[0], emit=lambda _, piece: pieces.append(piece), max_new_tokens=6
        )[0]
    finally:
        hook.remove()
    assert answer.text == "".join(pieces) == expected


def test_a_picture_that_breaks_the_experts_breaks_none_beside_it(assistant, pictures, monkeypatch):
    together = Together(assistant, 4, Metrics())
    usual = together._looker.look

    def look(given, experts, moai):
        if any(one.shape == pictures[1].shape and (one == pictures[1]).all() for one in given):
            raise RuntimeError("broken")
        return usual(given, experts, moai)

    monkeypatch.setattr(together._looker, "look", look)
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(together.encode, picture) for picture in pictures]
    assert [one.exception() is None for one in looks] == [True, False, True, True]


@pytest.mark.parametrize("most", [1, 2])
def test_looks_go_on_side_by_side_where_there_are_cores_for_them(most):
    inside, met = [], threading.Event()

    def look(given, experts, moai):
        inside.append(given)
        if len(inside) == most:
            met.set()
        assert met.wait(20) and len(inside) <= most
        inside.remove(given)
        return list(given)

    looker = Looker(look, 1, Metrics(), most)
    with ThreadPoolExecutor(6) as pool:
        looks = [pool.submit(looker.see, [number], (), True) for number in range(6)]
        assert [one.result() for one in looks] == [[number] for number in range(6)]
