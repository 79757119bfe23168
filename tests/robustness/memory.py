"""Memory over many questions about different pictures stays what it was after the first of them."""

import io
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from tests.robustness.asking import Asker
from tests.robustness.started import Started
from tests.robustness.tally import Tally

QUESTIONS = ("Is there a dog?", "What does the sign say?", "Describe the picture.", "How many cars do you see?")
ALLOWED = 0.10
"""Share by which the memory of the last quarter may be above that of the second: caches fill in the first."""


def picture(number: int, seed: int) -> bytes:
    """A picture of its own size, with shapes and words, as a PNG."""
    random = Random(f"{seed} {number}")
    size = random.randint(100, 1400), random.randint(100, 1000)
    image = Image.fromarray(np.full((size[1], size[0], 3), random.randrange(256), np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(random.randint(1, 12)):
        x, y = random.randrange(size[0]), random.randrange(size[1])
        corner = x + random.randint(5, 300), y + random.randint(5, 300)
        colour = tuple(random.randrange(256) for _ in range(3))
        random.choice((pen.rectangle, pen.ellipse))((x, y, *corner), fill=colour)
        pen.text((x, y), f"WORD {random.randrange(1000)}", fill=(255, 255, 255), font_size=random.randint(10, 60))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def memory(server: Started, count: int, seed: int) -> Tally:
    """`count` questions to the server about as many pictures. `leaked` is 1 when the last quarter holds 10 % more
    than the second: caches fill in the first."""
    command = f"memory --questions {count} --seed {seed}"
    tally = Tally("Memory", command)
    asker, held = Asker(server.address), []
    for number in range(count):
        content, question = picture(number, seed), QUESTIONS[number % len(QUESTIONS)]
        tally.trial(
            f"question {number}",
            lambda content=content, question=question: asker.server(content, question, max_tokens=16),
        )
        held.append(server.memory())
    quarter = max(1, count // 4)
    first, last = float(np.median(held[quarter : 2 * quarter])), float(np.median(held[-quarter:]))
    tally.notes.append(f"{first:.0f} MiB in the second quarter, {last:.0f} in the last, {max(held):.0f} at most")
    if last > first * (1 + ALLOWED):
        tally.leak(f"{last - first:.0f} MiB")
    return tally
