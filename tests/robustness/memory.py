"""Memory over many questions about different pictures stays what it is once caches are full."""

import io
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from tests.robustness.asking import Asker
from tests.robustness.started import Started
from tests.robustness.tally import Tally

QUESTIONS = ("Is there a dog?", "What does the sign say?", "Describe the picture.", "How many cars do you see?")
ALLOWED = 30.0
"""MiB by which 1,000 questions may raise what is held."""


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
    """`count` questions to the server about as many pictures. Caches fill in the first fifth; `leaked` is 1 when memory
    then grows by more than ALLOWED in 1,000 questions, by the straight line through what was measured."""
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
    warm = np.array(held[count // 5 :])
    growth = 1000 * float(np.polyfit(np.arange(len(warm)), warm, 1)[0])
    step = max(1, count // 10)
    told = ", ".join(f"{np.median(held[start : start + step]):.0f}" for start in range(0, count, step))
    tally.notes.append(f"{told} MiB over each tenth, {max(held):.0f} at most: {growth:+.0f} MiB in 1,000 questions")
    if growth > ALLOWED:
        tally.leak(f"{growth:.0f} MiB in 1,000 questions")
    return tally
