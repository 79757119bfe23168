"""The ablation: what each variant leaves out, and the table of means and spreads."""

import json

import pytest

from moai.evaluation.ablation import ablate, ablated, ablation_markdown, ablation_table, mean_and_spread
from moai.evaluation.answering import Variant, without
from perception import registry
from perception.registry import expert_names
from tests.evaluation.conftest import OneScene


def test_variants_leave_out_each_part_once():
    variants = ablated(expert_names())
    by_name = {one.name: one for one in variants}
    assert by_name["all experts"].experts is None
    left_out = [set(expert_names()) - set(one.experts) for one in variants if one.name.startswith("without")]
    # The scene graph stands on the boxes of detection.
    assert left_out == [{"segmentation"}, {"detection", "scene_graph"}, {"scene_graph"}, {"ocr"}]
    assert by_name["aux emptied"].experts == () and by_name["aux emptied"].moai
    assert not by_name["backbone alone"].moai
    assert by_name["uniform gates"].routing == "uniform"


def test_mean_and_spread_by_hand():
    assert mean_and_spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))
    assert mean_and_spread([5.0]) == (5.0, None)


def test_the_table_has_means_over_seeds():
    runs = {"all experts": [{"pope": {"accuracy": 90.0}}, {"pope": {"accuracy": 94.0}}], "other": [{}]}
    table = ablation_table(runs)
    assert table["all experts"]["POPE accuracy"]["mean"] == 92
    assert table["other"] == {}
    assert "| all experts | 92.0 ± 2.8 |" in ablation_markdown(table)


def test_an_ablation_is_written_and_resumed(model_folder, tmp_path):
    kept = [Variant(), Variant("backbone alone", moai=False), Variant("uniform gates", routing="uniform")]
    settings = {
        "seeds": 2,
        "scenes": 2,
        "limit": 1,
        "step1": str(model_folder),
        "variants": kept,
        "device": "cpu",
        "perception": OneScene(),
    }
    markdown = ablate(str(model_folder), tmp_path, **settings)
    for name in ("all experts", "backbone alone", "uniform gates", "step 1 only"):
        assert f"| {name} |" in markdown
    assert (tmp_path / "ablation.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((tmp_path / "ablation.json").read_text())
    assert len(written["variants"]["all experts"]["POPE accuracy"]["values"]) == 2
    answers = sorted(tmp_path.rglob("answers.jsonl"))
    before = [path.read_bytes() for path in answers]
    assert ablate(str(model_folder), tmp_path, **settings) == markdown
    assert [path.read_bytes() for path in answers] == before


def test_an_expert_that_is_left_out_does_not_look(model_folder, tmp_path):
    perception = OneScene()
    kept = [Variant("without ocr", without("ocr")), Variant("backbone alone", moai=False)]
    ablate(str(model_folder), tmp_path, seeds=1, scenes=1, limit=1, variants=kept, device="cpu", perception=perception)
    assert perception.asked == {("segmentation", "detection", "scene_graph")}


def test_a_new_kind_of_expert_has_its_row():
    registry.register("tests.perception.tagging")
    try:
        names = [one.name for one in ablated(expert_names())]
        assert f"without {registry.kind('tagging').spoken}" in names
        assert "tagging" in without("ocr") and "tagging" not in without("tagging")
    finally:
        registry.unregister("tests.perception.tagging")
