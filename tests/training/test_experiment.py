"""Experiments: files, overrides, and every sentence about what is wrong with them."""

import dataclasses

import pytest

from moai.training.experiment import (
    KINDS,
    DetectorExperiment,
    ModelExperiment,
    experiment_names,
    kind_of,
    load_experiment,
    save_experiment,
)


@pytest.mark.parametrize("name", experiment_names())
def test_every_shipped_experiment_is_valid_and_survives_saving(name, tmp_path):
    experiment = load_experiment(name)
    save_experiment(experiment, tmp_path)
    assert load_experiment(tmp_path / "experiment.yaml") == experiment


@pytest.mark.parametrize("settings", KINDS.values())
def test_every_setting_says_what_it_is(settings):
    assert all(one.metadata.get("help") for one in dataclasses.fields(settings) if one.name != "kind")


def test_a_file_builds_on_another(tmp_path):
    bridge, polish = load_experiment("bridge"), load_experiment("polish")
    assert polish.trains == bridge.trains and polish.data[0]["readings"] == 6 and polish.rows == 128
    own = tmp_path / "own.yaml"
    own.write_text("base: polish\nrows: 3\n")
    assert load_experiment(own) == dataclasses.replace(polish, rows=3)
    own.write_text(f"base: {own}\n")
    with pytest.raises(ValueError, match="is based on itself"):
        load_experiment(own)


def test_overrides():
    experiment = load_experiment("bridge", ["rows=8", "experts=[seg,ocr]", "packed=false", "init=runs/a b"])
    assert (experiment.rows, experiment.packed, experiment.init) == (8, False, "runs/a b")
    assert experiment.experts == ("segmentation", "ocr")
    harder = load_experiment("bridge", ["data[0].difficulty=1", "data[0].readings=5"])
    assert harder.data == ({"name": "drawn", "readings": 5, "unfamiliar": 0.15, "difficulty": 1},)
    # The clock decides, unless steps are said too.
    assert load_experiment("bridge", ["minutes=3"]).steps == 10**6
    assert load_experiment("bridge", ["minutes=3", "steps=7"]).steps == 7
    assert kind_of("detector") is DetectorExperiment and kind_of("gates") is ModelExperiment


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("rowz=3", "rowz is not a setting of a model experiment; allowed are trains, learning_rate, rows"),
        ("rows=x", "rows: Value 'x' of type 'str' could not be converted to Integer"),
        ("rows=0", "rows is 0; it must be at least 1"),
        ("learning_rate=0", "learning_rate is 0.0; it must be above 0"),
        ("average=1.5", "average is 1.5; it must be at most 1"),
        ("data[3].name=drawn", "data"),
        ("compile=fast", "compile is 'fast'; allowed are none, layers, decoder, whole, graphs"),
        ("routing=dice", "routing is 'dice'; allowed are gates, random, uniform"),
        ("experts=[nose]", "unknown expert 'nose'"),
        ("rows", "'rows' is no setting; write key=value"),
        ("=3", "'=3' is no setting; write key=value"),
    ],
)
def test_wrong_settings(override, sentence):
    with pytest.raises(ValueError) as error:
        load_experiment("bridge", [override])
    assert sentence in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind: cake\n", "unknown kind 'cake' of experiment; allowed are model, detector, relations"),
        ("trains: [decoder\n", "is not valid YAML"),
        ("- a\n- b\n", "must hold settings"),
        ("kind: model\nrows: 4\n", "is not set in"),
        ("base: nowhere\n", "there is no experiment 'nowhere'"),
        ("base: gates\nrows: [1, 2]\n", "rows: "),
    ],
)
def test_wrong_files(tmp_path, text, sentence):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        load_experiment(path)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_bytes(b"\xff\xfe\x00rows")
    with pytest.raises(ValueError, match=r"cannot be read|is not valid YAML"):
        load_experiment(path)
