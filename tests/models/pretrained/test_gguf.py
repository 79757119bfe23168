"""GGUF files are spelled out once, into a folder that is whole or not there, whoever is first."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from moai.models.pretrained.language import load_language
from tests.models.pretrained.families import gguf_file
from tests.training.processes import in_processes

pytestmark = pytest.mark.xdist_group("processes")  # forked from one server
gguf = pytest.importorskip("gguf")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MOAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def embeddings(file: Path) -> torch.Tensor:
    (found,) = (one for one in gguf.GGUFReader(file).tensors if one.name == "token_embd.weight")
    return torch.tensor(found.data)


def load(file: Path) -> None:
    model, tokenizer = load_language(file, None)
    torch.testing.assert_close(model.get_input_embeddings().weight.detach(), embeddings(file), rtol=0, atol=0)
    assert tokenizer.decode(tokenizer("the end")["input_ids"]) == "the end"


def load_in_turn(home: Path, file: Path, both: Path) -> None:
    """One of two processes that train together: the second is first to need `file`; both need the other at once."""
    os.environ["MOAI_HOME"] = str(home)
    torch.distributed.init_process_group("gloo")
    for turn in (1, 0):
        if torch.distributed.get_rank() == turn:
            load(file)
        torch.distributed.barrier()
    load(both)
    torch.distributed.destroy_process_group()


def test_any_of_several_processes_may_be_first(home, tmp_path, capfd):
    files = gguf_file(tmp_path / "one.gguf"), gguf_file(tmp_path / "other.gguf", width=64)
    assert in_processes(2, load_in_turn, home, *files) == [0, 0], capfd.readouterr().out
    assert len(list((home / "gguf").iterdir())) == 2


@pytest.mark.parametrize("lost", ["weights and configuration", "the end of the weights"])
def test_half_a_folder_is_made_anew(lost, home, tmp_path):
    file = gguf_file(tmp_path / "tiny.gguf")
    load(file)
    (folder,) = (home / "gguf").iterdir()
    weights = folder / "model.safetensors"
    if lost == "the end of the weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        for name in ("config.json", "generation_config.json", "model.safetensors"):
            (folder / name).unlink()
    shutil.copytree(folder, folder.with_name(f".{folder.name}.part"))  # as a process leaves it that is killed
    load(file)
    before = weights.stat().st_mtime_ns
    load(file)
    assert weights.stat().st_mtime_ns == before and list((home / "gguf").iterdir()) == [folder]
