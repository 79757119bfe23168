"""Chat over HTTP, asked by OpenAI's own client."""

import httpx
import pytest

from tests.serving.conftest import asking

SIGN = "What does the sign say?"


def test_a_picture_is_asked_about(client, engine):
    reply = client.chat.completions.create(model="moai-nano", messages=asking(SIGN, "street"))
    assert reply.choices[0].message.content == "GALLERY" and reply.choices[0].finish_reason == "stop"
    prompt = engine.assistant.prompt_ids([{"role": "user", "content": SIGN}])
    assert reply.usage.prompt_tokens == len(prompt)
    assert reply.usage.total_tokens == len(prompt) + reply.usage.completion_tokens > len(prompt) + 1
    assert "moai" not in reply.model_extra


def test_a_stream_says_the_same_and_counts(client):
    asked = {"model": "moai-nano", "messages": asking("Describe the picture.", "street"), "max_tokens": 12}
    whole = client.chat.completions.create(**asked)
    stream = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    *chunks, counted = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant" and len(chunks) > 3
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "length"
    assert counted.choices == [] and counted.usage == whole.usage and whole.usage.completion_tokens == 12


def test_turns_and_no_picture(client):
    first, *more = (
        asking(SIGN, "street"),
        {"role": "assistant", "content": "GALLERY"},
        {"role": "user", "content": "Where is it?"},
    )
    told = client.chat.completions.create(model="moai-nano", messages=[*first, *more])
    assert (
        told.usage.prompt_tokens > client.chat.completions.create(model="moai-nano", messages=first).usage.prompt_tokens
    )
    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    bare = client.chat.completions.create(model="moai-nano", messages=system, max_tokens=5)
    assert bare.usage.prompt_tokens < 64 and isinstance(bare.choices[0].message.content, str)


def test_evidence_and_experts(client):
    extras = {"moai": {"experts": "ocr", "evidence": ["scene", "timings"]}}
    reply = client.chat.completions.create(model="moai-nano", messages=asking(SIGN, "street"), extra_body=extras)
    told = reply.model_extra["moai"]
    assert set(told) == {"scene", "timings"} and told["scene"]["detections"] == [] and told["timings"]["total"] > 0
    assert any(line["text"] == "GALLERY" for line in told["scene"]["text_lines"])
    stream = client.chat.completions.create(
        model="moai-nano", messages=asking(SIGN, "street"), extra_body={"moai": {"evidence": True}}, stream=True
    )
    assert set(list(stream)[-1].model_extra["moai"]) == {"scene", "gates", "timings"}
    plain = client.chat.completions.create(
        model="moai-nano", messages=asking(SIGN, "street"), extra_body={"moai": {"moai": False, "evidence": ["gates"]}}
    )
    assert plain.model_extra["moai"] == {"gates": []}


def test_seeds_repeat_and_choices_differ(client):
    asked = {"model": "moai-nano", "messages": asking("Describe the picture.", "street"), "temperature": 3, "n": 3}
    first, second = (client.chat.completions.create(**asked, seed=5, max_tokens=8) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in second.choices] and len(set(texts)) == 3
    assert [choice.index for choice in first.choices] == [0, 1, 2]


def test_stop_texts_end_an_answer(client):
    asked = {"model": "moai-nano", "messages": asking(SIGN, "street"), "stop": ["LE", "zz"]}
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].message.content == "GAL" and whole.choices[0].finish_reason == "stop"
    pieces = [chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**asked, stream=True)]
    assert "".join(pieces) == "GAL"


def shown(url):
    """A conversation about the picture at an address."""
    part = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [part, {"type": "text", "text": "What is there?"}]}]


REFUSED = [
    ({"messages": []}, 400, "messages"),
    ({"messages": "hello"}, 400, "messages: input should be a valid array"),
    ({"messages": asking("")}, 400, "the question is empty"),
    ({"temperature": 11}, 400, "temperature is 11"),
    ({"top_p": 0}, 400, "top_p is 0"),
    ({"n": 99}, 400, "n is 99; allowed is 1 to 8"),
    ({"max_tokens": 100000}, 400, "max_tokens is 100000"),
    ({"model": "gpt"}, 404, "there is no model 'gpt' here; ask moai-nano"),
    ({"tools": [{"type": "function"}]}, 400, "tools is not supported here"),
    ({"colour": 1}, 400, "unrecognised field colour"),
    ({"moai": {"experts": "nose"}}, 400, "nose"),
    ({"messages": [{"role": "user", "content": "x" * 20000}]}, 400, "tokens long"),
    ({"messages": shown("/etc/passwd")}, 400, "data: URL"),
    ({"messages": shown("data:,x")}, 400, "not a picture"),
    ({"messages": asking(SIGN, "street") + asking(SIGN, "bed")}, 400, "one picture here, but this one has 2"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "told"), REFUSED)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_refused_is_told_in_a_sentence(server, change, status, told, stream):
    body = {"messages": asking("What is there?", "street"), "stream": stream} | change
    reply = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    error = reply.json()["error"]
    assert reply.status_code == status and told in error["message"] and error["type"], error
    assert "\n" not in error["message"] and "Traceback" not in reply.text


def test_other_addresses(server):
    assert httpx.get(f"{server.url}/health").json() == {"status": "ready", "model": "moai-nano"}
    assert httpx.get(f"{server.url}/v1/models").json()["data"][0]["id"] == "moai-nano"
    assert httpx.get(f"{server.url}/v1/models/moai-nano").json()["object"] == "model"
    assert httpx.get(f"{server.url}/v1/other").json()["error"]["message"] == "there is no /v1/other here; see /docs"
    assert httpx.get(f"{server.url}/v1/chat/completions").status_code in (404, 405)
    documented = httpx.get(f"{server.url}/openapi.json").json()
    assert "temperature" in documented["components"]["schemas"]["ChatRequest"]["properties"]
    counts = httpx.get(f"{server.url}/metrics").text
    assert 'moai_requests_total{status="200"}' in counts and "moai_completion_tokens_total" in counts


def test_thinking_twice(client):
    openai = pytest.importorskip("openai")
    asked = {"model": "moai-nano", "messages": asking(SIGN, "street"), "seed": 3}
    extras = {"moai": {"samples": 4, "evidence": ["drafts"]}}
    whole = client.chat.completions.create(**asked, extra_body=extras)
    told = whole.model_extra["moai"]
    assert whole.choices[0].message.content == "GALLERY" and len(told["drafts"]) == 4 and told["agreement"] > 0.5
    stream = list(client.chat.completions.create(**asked, extra_body=extras, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "GALLERY"
    assert stream[-1].model_extra["moai"] == told
    contrasted = client.chat.completions.create(**asked, extra_body={"moai": {"contrast": 0.3, "weak": "second"}})
    assert contrasted.choices[0].message.content
    for wrong, sentence in (
        ({"samples": 99}, "samples is 99; allowed is 1 to 64"),
        ({"contrast": 0.5, "weak": "rank2"}, "rank2 needs a model with sparse layers"),
    ):
        with pytest.raises(openai.BadRequestError, match=sentence):
            client.chat.completions.create(**asked, extra_body={"moai": wrong})
