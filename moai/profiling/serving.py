"""What a server of `moai serve` bears: requests from many clients at once, every answer compared with that of one.

python -m moai.profiling.serving http://127.0.0.1:7860 --clients 16 --requests 400
python -m moai.profiling.serving http://127.0.0.1:7860 --beside 0 1 4

The second asks for short answers, one at a time, while so many long ones are written beside them.
"""

import argparse
import asyncio
import base64
import io
import json
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from moai.terminal import Parser, guarded

QUESTIONS = ("What does the sign say?", "How many people are there?", "Is there a dog?", "Describe the picture.")
LONGEST = (8, 24, 64)
SHORT, LONG = 8, 200
"""Tokens of short answers and of those beside them, at most."""
SIDE, WARM_SIDE = 640, 600
"""Of pictures, in pixels."""


@dataclass
class Tally:
    """What came of the requests of one round; `seconds` are those of each answer."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    mixed: int = 0
    refused: int = 0
    left: int = 0
    tokens: int = 0
    took: float = 0.0

    def row(self) -> dict[str, float]:
        """The figures."""
        ordered = sorted(self.seconds) or [0.0]
        return {
            "answers": len(self.seconds),
            "lost": self.lost,
            "mixed": self.mixed,
            "refused and asked again": self.refused,
            "left early": self.left,
            "median s": round(statistics.median(ordered), 2),
            "p95 s": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 2),
            "answers/s": round(len(self.seconds) / self.took, 2),
            "tokens/s": round(self.tokens / self.took, 1),
        }


def pictures(folder: Path, count: int, side: int = SIDE) -> list[str]:
    """data: URLs of `count` different pictures: those of a folder, mirrored and cut where there are too few."""
    files = sorted(one for one in folder.iterdir() if one.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    if not files:
        raise ValueError(f"{folder} holds no pictures")
    drawn, urls = random.Random(0), []
    for number in range(count):
        with Image.open(files[number % len(files)]) as file:
            picture = file.convert("RGB")
        picture.thumbnail((side, side))
        if number >= len(files):  # another picture, of nearly the same things
            cut = drawn.randrange(1, 24)
            picture = Image.fromarray(np.ascontiguousarray(np.asarray(picture)[cut:, cut:]))
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=90)
        urls.append("data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode())
    return urls


def asked(urls: Sequence[str], number: int) -> dict:
    """The body of one request."""
    parts = [
        {"type": "image_url", "image_url": {"url": urls[number % len(urls)]}},
        {"type": "text", "text": QUESTIONS[number % len(QUESTIONS)]},
    ]
    longest = LONGEST[number % len(LONGEST)]
    return {"messages": [{"role": "user", "content": parts}], "max_tokens": longest, "stream": number % 2 == 1}


async def answer(client: httpx.AsyncClient, body: dict, tally: Tally, leaves: bool = False) -> str | None:
    """The text of one answer; None for one that is lost, or that the client leaves after the first words."""
    for _ in range(100):
        try:
            async with client.stream("POST", "/v1/chat/completions", json=body) as reply:
                if reply.status_code == 429:
                    tally.refused += 1
                    await asyncio.sleep(float(reply.headers["Retry-After"]))
                    continue
                if reply.status_code != 200:
                    return None
                if not body["stream"]:
                    content = json.loads(await reply.aread())
                    tally.tokens += content["usage"]["completion_tokens"]
                    return content["choices"][0]["message"]["content"]
                text, ended = "", False
                async for line in reply.aiter_lines():
                    if line == "data: [DONE]":
                        ended = True
                    elif line.startswith("data: "):
                        choices = json.loads(line[6:])["choices"]
                        text += "".join(choice["delta"].get("content") or "" for choice in choices)
                        tally.tokens += bool(choices)
                        if leaves:
                            return None
                return text if ended else None
        except (httpx.HTTPError, ValueError, KeyError):
            return None
    return None


async def round_of(
    client: httpx.AsyncClient,
    bodies: Sequence[dict],
    clients: int,
    expected: Sequence[str | None],
    leaving: float = 0.0,
) -> tuple[Tally, list[str | None]]:
    """All bodies, by so many clients at once; a share of the streams is left."""
    tally, texts = Tally(), [None] * len(bodies)
    waiting, drawn = iter(range(len(bodies))), random.Random(1)

    async def one_client() -> None:
        for number in waiting:
            leaves = bodies[number]["stream"] and drawn.random() < leaving
            started = time.perf_counter()
            text = await answer(client, bodies[number], tally, leaves)
            if leaves:
                tally.left += 1
                continue
            if text is None:
                tally.lost += 1
                continue
            texts[number] = text
            tally.seconds.append(time.perf_counter() - started)
            tally.mixed += expected[number] not in (None, text)

    started = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(clients)))
    tally.took = time.perf_counter() - started
    return tally, texts


async def beside(client: httpx.AsyncClient, urls: Sequence[str], long: int) -> Tally:
    """A short answer about each picture, one at a time, while `long` answers of LONG tokens are being written; each of
    those that ends is followed by another. `tokens` are theirs."""
    bodies = [asked(urls, number) | {"max_tokens": SHORT, "stream": False} for number in range(len(urls))]
    # What is said at that temperature has no end of its own.
    endless = asked(urls[:1], 3) | {"max_tokens": LONG, "stream": True, "temperature": 10}
    written, begun = Tally(), asyncio.Event()

    async def write() -> None:
        while await answer(client, endless, written) is not None:
            begun.set()

    writers = [asyncio.create_task(write()) for _ in range(long)]
    if writers:
        await asyncio.wait([asyncio.create_task(begun.wait()), *writers], return_when=asyncio.FIRST_COMPLETED)
    before = written.tokens
    short, _ = await round_of(client, bodies, 1, [None] * len(bodies))
    short.tokens = written.tokens - before
    for one in writers:
        one.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    return short


def _content(body: dict) -> str:
    """What the answer depends on."""
    return json.dumps({name: value for name, value in body.items() if name != "stream"})


async def loaded(client: httpx.AsyncClient) -> None:
    """Waits while the server says that it loads its model."""
    while (said := await client.get("/health")).status_code == 503 and said.json()["status"] == "loading":
        await asyncio.sleep(0.5)


async def measured(arguments: argparse.Namespace) -> dict:
    """One at a time, then all at once: the figures of both."""
    headers = {"Authorization": f"Bearer {arguments.key}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=arguments.url, headers=headers, timeout=600, limits=limits) as client:
        absent = f"no request was answered; is there a server of moai serve at {arguments.url}?"
        try:
            await loaded(client)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise ValueError(absent) from error
        count = arguments.requests
        urls = pictures(arguments.pictures, min(count, arguments.different))
        if arguments.beside is not None:
            await beside(client, urls[:1], 0)  # loads what is loaded at first use
            each = [
                urls[1 + start :: len(arguments.beside)][: arguments.alone] for start in range(len(arguments.beside))
            ]
            rounds = zip(arguments.beside, each, strict=True)  # each with pictures that nobody has looked at
            return {f"beside {long} long": (await beside(client, new, long)).row() for long, new in rounds}
        bodies = [asked(urls, number) for number in range(count)]
        # Nearly as large, and yet others to whoever remembers pictures.
        seen = pictures(arguments.pictures, min(arguments.warm, arguments.different), side=WARM_SIDE)
        warm = [asked(seen, number) for number in range(arguments.warm)]
        await round_of(client, warm, arguments.clients, [None] * len(warm))
        alone, texts = await round_of(client, bodies[: arguments.alone], 1, [None] * count)
        if not alone.seconds:
            raise ValueError(absent)
        known = {_content(body): text for body, text in zip(bodies, texts, strict=False)}
        expected = [known.get(_content(body)) for body in bodies]
        many, _ = await round_of(client, bodies, arguments.clients, expected, arguments.leaving)
    return {
        "one at a time": alone.row(),
        f"{arguments.clients} clients": many.row(),
        "compared": sum(text is not None for text in expected),
        "throughput": round((len(many.seconds) / many.took) / (len(alone.seconds) / alone.took), 2),
    }


def parser() -> argparse.ArgumentParser:
    """Every option."""
    top = Parser(prog="python -m moai.profiling.serving", description="Measure a running server of moai serve.")
    top.add_argument("url", help="where it is, such as http://127.0.0.1:7860")
    top.add_argument("--clients", type=int, default=16, help="at once (default: %(default)s)")
    top.add_argument("--requests", type=int, default=400, help="in all (default: %(default)s)")
    top.add_argument("--alone", type=int, default=40, help="of them first one at a time (default: %(default)s)")
    top.add_argument("--warm", type=int, default=4, help="before all others, not measured (default: %(default)s)")
    top.add_argument("--different", type=int, default=400, help="different pictures (default: %(default)s)")
    top.add_argument("--beside", type=int, nargs="+", metavar="N", help="short answers beside N long ones, alone")
    top.add_argument("--leaving", type=float, default=0.0, help="share of streams that are left (default: %(default)s)")
    top.add_argument("--pictures", type=Path, default=Path("examples"), help="a folder (default: %(default)s)")
    top.add_argument("--key", default="none", help="bearer key")
    return top


def main(argv: list[str] | None = None) -> None:
    """Command line; raises ValueError with one sentence for what it does not know."""
    print(json.dumps(asyncio.run(measured(parser().parse_args(argv))), indent=1))


if __name__ == "__main__":
    raise SystemExit(guarded(main, "python -m moai.profiling.serving"))
