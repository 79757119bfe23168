"""Prompts that are read in parts of their rows say what they say together, and so do the records of their pass."""

import pytest
import torch

from moai.inference.generation import FastGeneration, Request
from moai.models.fusion import GateRecord
from moai.models.sparse.record import ExpertRecord
from tests.inference.test_generation import GREEDY, talkative
from tests.inference.test_sparse import SPARSE


@pytest.mark.parametrize("changes", [{}, SPARSE])
@torch.no_grad()
def test_parts_say_what_the_whole_says(inputs, changes):
    model = talkative(**changes)
    three = {name: torch.cat((value, value[:1])) for name, value in inputs.items()}
    whole, parted = FastGeneration(model), FastGeneration(model)
    parted.decoder.at_once = 2
    told = []
    for engine in (whole, parted):
        records = {"gates": GateRecord(), "experts": ExpertRecord()}
        bucket = engine.decoder.bucket(3, 100)
        logits = engine.begin(model, Request.of(model, three | records | GREEDY), bucket)
        told.append((logits, bucket.keys[-1][:3, :, :70], records["gates"].layers, records["experts"].layers))
    for mine, theirs in zip(*told, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert told[0][2] and bool(told[0][3]) == bool(changes)
    # Where only some rows have a picture, all stay together.
    text = {name: three[name] for name in ("input_ids", "attention_mask")}
    text["input_ids"] = torch.where(text["input_ids"] == 3, 9, text["input_ids"])
    mixed = {
        name: torch.cat((value[:1], text[name][1:])) if name in text else value[:1] for name, value in three.items()
    }
    heads = [
        engine.begin(model, Request.of(model, mixed | GREEDY), engine.decoder.bucket(3, 100))
        for engine in (whole, parted)
    ]
    torch.testing.assert_close(*heads)
