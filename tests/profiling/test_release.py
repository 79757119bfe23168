"""The script that proves the released model at full size, at tiny size."""

import json

import pytest
from safetensors import safe_open

from moai.models.configuration import MoAIConfig
from moai.models.released.convert import config_from_sizes
from moai.profiling.random_release import reference_shapes
from moai.profiling.release import NAME, fetch, part, table
from tests.models.test_convert import FIXTURES, SIZES


def test_names_and_shapes_are_the_authors():
    with safe_open(FIXTURES / "reference_checkpoint.safetensors", "pt") as held:
        expected = {name: tuple(held.get_slice(name).get_shape()) for name in held.keys()}  # noqa: SIM118
    assert {name: tuple(shape) for name, shape in reference_shapes(config_from_sizes(SIZES)).items()} == expected
    full = reference_shapes(MoAIConfig.moai_7b())
    assert round(sum(shape.numel() for shape in full.values()) / 1e9, 2) == 8.87


@pytest.mark.slow
def test_every_step_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)

    def here(name: str, environment: dict[str, str]) -> dict:
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        return part(name)

    steps = fetch(tmp_path, SIZES, shard=500_000, run_part=here)
    (kept,) = (tmp_path / "home" / "converted").iterdir()
    assert kept.name == NAME.replace("/", "--") and not list(kept.rglob("*.partial"))
    files = sorted(file.name for file in (tmp_path / "repository").glob("*.safetensors"))
    assert len(files) > 3 and steps["written"]["parameters"] > 1e6
    # What was converted before the kill is not fetched again; the broken connection goes on.
    asked = [one.split()[0] for one in steps["converted"]["asked for"]]
    done = steps["killed"]["asked for"][0]
    assert done not in asked and asked.count(files[-1]) == 2
    assert steps["converted"]["asked for"][-1].startswith(f"{files[-1]} from ")
    assert 0 < steps["converted"]["own"] < steps["converted"]["resident"]
    steps["answered"] = part("answer")
    assert steps["answered"]["device"] and table(json.loads(json.dumps(steps))).count("\n") == 4
