"""A data set as a stranger would add it: lines of {"image", "question", "answer"}, pictures beside them."""

import json
from pathlib import Path

import numpy as np

from moai.data.example import Example
from perception.images import load_image


class Jsonl:
    class_names = ()

    def __init__(self, rows, seed, path):
        self.seed, self.folder = seed, Path(path).parent
        self.lines = [json.loads(line) for line in Path(path).read_text().splitlines()]

    def examples(self, position):
        epoch, place = divmod(position, len(self.lines))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.lines))
        line = self.lines[order[place]]
        yield Example(load_image(self.folder / line["image"]), turns=[(line["question"], line["answer"])])
