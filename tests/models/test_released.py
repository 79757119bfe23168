"""The released checkpoint's layout behind a hub's id: fetched, converted once, kept, and answered from."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from moai.assistant import MoAI
from moai.cli import main
from moai.models.released import checkpoint, folder_of
from moai.models.released.convert import from_reference
from moai.profiling.hub_server import HubServer
from moai.profiling.random_release import letters_tokenizer
from perception import Perception
from tests.conftest import example_image
from tests.models.test_convert import FIXTURES, SIZES

NAME = "BK-Lee/MoAI-7B"


@pytest.fixture(scope="module")
def weights():
    return load_file(FIXTURES / "reference_checkpoint.safetensors")


@pytest.fixture(scope="module")
def released(tmp_path_factory, weights) -> Path:
    """A repository of three shards with an index, a tokenizer, and a config.json that says the sizes."""
    folder = tmp_path_factory.mktemp("released")
    letters_tokenizer(128).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(SIZES))
    names, weight_map = sorted(weights), {}
    for part in range(3):
        file = f"model-{part + 1:05}-of-00003.safetensors"
        shard = {name: weights[name].half().contiguous() for name in names[part::3]}
        save_file(shard, folder / file)
        weight_map |= dict.fromkeys(shard, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("MOAI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return tmp_path


@pytest.fixture
def server(released, monkeypatch):
    with HubServer({NAME: released}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


def shards_of(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.safetensors"))


def fetched(server: HubServer) -> list[tuple[str, int]]:
    return [one for one in server.sent if one[0].endswith(".safetensors")]


def assert_converted(folder: Path, weights) -> None:
    written = {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}
    expected = from_reference({name: value.half() for name, value in weights.items()}, SIZES).state_dict()
    assert written.keys() == expected.keys()
    for name, value in written.items():
        assert value.dtype == torch.float16 and torch.equal(value.float(), expected[name]), name


def test_from_its_id_to_an_answer(server, weights, caches, monkeypatch):
    assistant = MoAI.from_pretrained(NAME, device="cpu", perception=Perception(experts=()))
    assert assistant.model.config.experts_from == "reference"
    assert isinstance(assistant.ask(example_image("street"), "What is this?", max_new_tokens=3).text, str)
    folder = folder_of(NAME)
    assert_converted(folder, weights)
    assert sorted(fetched(server)) == [(file, 0) for file in shards_of(folder)]
    # Nothing is there twice, and nothing half.
    assert not list((caches / "hub").rglob("*.safetensors"))
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
    asked = len(server.sent)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert folder_of(NAME) == folder and len(server.sent) == asked


def test_a_dropped_connection_goes_on_where_it_broke(server, released, weights, monkeypatch):
    second = "model-00002-of-00003.safetensors"
    size = (released / second).stat().st_size
    server.drops = {second: size // 2}
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)
    assert_converted(folder_of(NAME), weights)
    begun, again = [first for file, first in fetched(server) if file == second]
    assert begun == 0 and size // 2 - 4096 <= again <= size // 2
    assert len(fetched(server)) == 4


def test_who_is_killed_goes_on_behind_what_is_done(server, weights, caches, monkeypatch):
    written = []

    def killed(tensors, path, **kwargs):
        save_file(tensors, path, **kwargs)
        written.append(Path(path).name)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        folder_of(NAME)
    (kept,) = (caches / "home" / "converted").iterdir()
    (partial,) = kept.glob("*.partial")
    assert not (kept / "main").exists() and len(shards_of(partial)) == 1
    monkeypatch.setattr(
        checkpoint, "save_file", lambda *one, **kwargs: written.append(one[1].name) or save_file(*one, **kwargs)
    )
    assert_converted(folder_of(NAME), weights)
    assert len(written) == 4 and written.count(written[0]) == 1 and not partial.exists()
    # Two were there: one is converted, one lay beside.
    assert len(fetched(server)) == 3


@pytest.mark.parametrize("name", [NAME, "some/gated", "some/nothing"])
def test_what_cannot_be_had_is_one_sentence(name, server, released, capsys, monkeypatch):
    says = {
        NAME: "does not answer",
        "some/gated": f"some/gated is gated: accept its terms at {server.address}/some/gated, then log in",
        "some/nothing": "no such model at http://127.0.0.1",
    }
    server.gated = {"some/gated"}
    if name == NAME:
        server.__exit__()
    picture = str(Path(__file__).parents[2] / "examples" / "street.png")
    assert main(["ask", picture, "Why?", "--model", name]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"moai: no MoAI model could be loaded from '{name}': ") and err.count("\n") == 1
    assert says[name] in err


def test_a_folder_in_the_authors_layout_will_do(released, weights, tmp_path, caches):
    copied = shutil.copytree(released, tmp_path / "copied")
    folder = folder_of(str(copied))
    assert_converted(folder, weights)
    assert folder.is_relative_to(caches / "home") and folder_of(str(copied)) == folder


def test_what_the_hubs_cache_has_is_used_without_the_hub(server, released, weights, monkeypatch):
    from huggingface_hub import HfApi

    HfApi(endpoint=server.address).snapshot_download(NAME)
    asked = len(server.sent)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert_converted(folder_of(NAME), weights)
    assert len(server.sent) == asked
