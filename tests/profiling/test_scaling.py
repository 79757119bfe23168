"""What tells how training scales: its own run, and its table."""

import dataclasses
import json

from moai.profiling import scaling


def test_one_process_says_its_figures_and_goes_on_from_a_checkpoint(tmp_path, monkeypatch, capsys):
    # A run goes on until it is killed; here it ends by itself.
    plain = scaling.experiment_of

    def short(options, count):
        experiment = plain(options, count)
        return dataclasses.replace(experiment, steps=5 if options.resume else 4)

    monkeypatch.setattr(scaling, "experiment_of", short)
    given = ["--child", "--size", "nano", "--rows", "2", "--questions", "2", "--steps", "1", "--workers", "0"]
    given += ["--folder", str(tmp_path), "--save-every", "4"]
    assert scaling.main(given) == 0
    told = next(one for one in capsys.readouterr().out.splitlines() if one.startswith(scaling.FIGURES))
    figures = json.loads(told.removeprefix(scaling.FIGURES))
    assert figures["step"] == 3 and figures["rows/s"] > 0 and 0 <= figures["waiting"] < 1
    assert scaling.main([*given, "--resume"]) == 0
    assert (tmp_path / "checkpoint-5" / "trained.safetensors").is_file()


def test_the_table_compares_with_one():
    row = {"waiting": 0.05, "GiB": 30.0, "seconds in all": 40.0}
    text = scaling.table({"1 GPU": row | {"rows/s": 4.0}, "2 GPUs, fsdp": row | {"rows/s": 7.4}}, "1 GPU")
    assert "| 2 GPUs, fsdp | 7.40 | 1.85 | 5.0% | 30.0 | 40 |" in text
