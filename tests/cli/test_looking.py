"""Every command that loads experts says how long they may take, and whether their weights may run code."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from moai import MoAI
from moai.cli.main import main


class Code:
    """What a pickle runs when it is loaded: it makes a folder."""

    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return os.mkdir, (str(self.made),)


@pytest.fixture
def foreign(tmp_path):
    """Weights with code in them, and what the code makes."""
    path, made = tmp_path / "foreign.pt", tmp_path / "made"
    torch.save({"model": Code(made)}, path)
    return path, made


@pytest.mark.parametrize(
    "command", ["ask PICTURE What? --model MODEL --max-new-tokens 2 --expert", "perceive PICTURE --expert", "eval"]
)
def test_code_runs_only_when_it_is_trusted(command, foreign, model_folder, tmp_path, capsys):
    path, made = foreign
    picture, preset = tmp_path / "picture.png", tmp_path / "experts.yaml"
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(picture)
    preset.write_text(f"detection: yolo:{path}\n")
    names = {"PICTURE": str(picture), "MODEL": str(model_folder)}
    words = [names.get(one, one) for one in command.split()] + [f"det=yolo:{path}", "--experts", "det"]
    if command == "eval":
        words = ["eval", "experts", "--scenes", "1", "--experts", "det", "--experts-from", str(preset)]
    assert main(words) == 0 and not made.exists()
    assert main([*words, "--trust-pickles"]) == 0 and made.exists()


@pytest.mark.parametrize(
    "command",
    ["ask PICTURE What?", "perceive PICTURE", "serve", "page", "batch SOURCE --out FOLDER", "eval experts --scenes 1"],
)
def test_a_time_limit_is_checked_everywhere(command, capsys):
    assert main([*command.split(), "--time-limit", "-1"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and ("--time-limit" in told or "time limit of experts is -1.0" in told)


def test_an_assistant_passes_both_on(model_folder):
    perception = MoAI.from_pretrained(model_folder, device="cpu", time_limit=3.0, trust_pickles=True).perception
    assert perception.time_limit == 3.0 and perception.entries["detection"].options["trust_pickle"] is True
    assert "trust_pickle" not in perception.entries["ocr"].options
