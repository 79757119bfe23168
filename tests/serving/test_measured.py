"""A running server is measured from outside."""

import asyncio
import json

import httpx
import pytest

from moai.profiling import serving


def test_short_answers_beside_long_ones(server, capsys, monkeypatch):
    monkeypatch.setattr(serving, "LONG", 10)
    serving.main([server.url, "--beside", "0", "1", "--alone", "1", "--requests", "3"])
    told = json.loads(capsys.readouterr().out)
    assert {name: (row["answers"], row["lost"]) for name, row in told.items()} == {
        "beside 0 long": (1, 0),
        "beside 1 long": (1, 0),
    }
    assert told["beside 0 long"]["tokens/s"] == 0 < told["beside 1 long"]["tokens/s"]


def test_a_server_that_is_not_there_is_a_sentence():
    with pytest.raises(ValueError, match=r"no request was answered; is there a server of moai serve at http://127"):
        serving.main(["http://127.0.0.1:9", "--requests", "2", "--alone", "1"])


def test_a_server_that_loads_is_waited_for():
    left = [503, 503, 200]

    def said(request: httpx.Request) -> httpx.Response:
        return httpx.Response(left.pop(0), json={"status": "loading" if left else "ready"})

    async def wait() -> None:
        async with httpx.AsyncClient(base_url="http://there", transport=httpx.MockTransport(said)) as client:
            await serving.loaded(client)

    asyncio.run(wait())
    assert not left
