"""Stages: what they freeze, how fast they learn, and two real steps of each."""

import dataclasses
import json
import multiprocessing

import pytest
import torch
from safetensors.torch import load_file

from moai import cli
from moai.data.drawn.examples import ImageQuestions
from moai.data.rows import RowSizes
from moai.evaluation.drawn.by_kind import answer_examples, print_table, simulated_examples, tabulate
from moai.models.inputs.image_processing import normalize_pixels
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.training import command, recipe, run
from moai.training.experiment import load_experiment, load_stages
from moai.training.objective import MoAIObjective, weighted_cross_entropy
from moai.training.progress import Budget, learning_rate_factor
from moai.training.stages import freeze_all_but, parameter_groups
from perception.panoptic import voc_palette
from tests.conftest import tiny_config
from tests.data.drawn.samples import drawn_samples

STAGES = load_stages()


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_trains_its_parts_alone(model, name):
    groups = parameter_groups(model)
    assert sum(map(len, groups.values())) == len(list(model.parameters()))
    assert len({id(one) for parameters in groups.values() for one in parameters}) == len(list(model.parameters()))
    assert all(groups.values())
    freeze_all_but(model, STAGES[name].trains)
    for group, parameters in groups.items():
        assert {parameter.requires_grad for parameter in parameters} == {group in STAGES[name].trains}


def test_paper_steps():
    assert set(STAGES["experts"].trains) == {"compressor", "mixers"} and STAGES["experts"].routing == "random"
    assert set(STAGES["gates"].trains) == {"compressor", "mixers", "gates"} and STAGES["gates"].routing == "gates"


def test_learning_rate():
    stage = STAGES["language"]
    values = [learning_rate_factor(step / 200, stage) for step in range(201)]
    peak = values.index(max(values))
    assert peak == round(stage.warmup * 200) and values[peak] == pytest.approx(1)
    assert 0 < values[0] < 0.1 and values[-1] == pytest.approx(stage.final_share)
    assert values[: peak + 1] == sorted(values[: peak + 1]) and values[peak:] == sorted(values[peak:], reverse=True)
    middle = learning_rate_factor((1 + stage.warmup) / 2, stage)
    assert middle == pytest.approx((1 + stage.final_share) / 2)


def test_budget_by_steps_and_by_the_clock(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("moai.training.progress.time.monotonic", lambda: clock[0])
    budget = Budget(10, minutes=1)
    assert budget.progress(5) == 0.5
    clock[0] = 120.0
    budget.started = 120.0  # twenty seconds were start-up; forty are left
    clock[0] = 130.0
    assert budget.progress(1) == pytest.approx(0.25)
    assert budget.progress(9) == pytest.approx(0.9)
    clock[0] = 500.0
    assert budget.progress(1) == 1.0
    assert Budget(10, None).progress(20) == 1.0


def test_weighted_cross_entropy():
    torch.manual_seed(0)
    logits, labels = torch.randn(1, 4, 7), torch.tensor([[1, 2, -100, 3]])
    weights = torch.tensor([[1.0, 0.2, 0.0, 1.0]])
    logs = logits.log_softmax(dim=-1)
    expected = -(0.2 * logs[0, 0, 2] + logs[0, 2, 3]) / 1.2
    torch.testing.assert_close(weighted_cross_entropy(logits, labels, weights), expected)
    assert weighted_cross_entropy(logits, labels, torch.zeros(1, 4)) == 0


def test_a_frozen_encoder_keeps_its_statistics(model_folder, processor):
    model = MoAIForConditionalGeneration.from_pretrained(model_folder)
    objective = MoAIObjective(model, processor, STAGES["backbone"])
    assert objective.train().model.vision.training
    freeze_all_but(model, STAGES["gates"].trains)
    assert not objective.train().model.vision.training and model.language_model.training


@pytest.fixture
def tiny(monkeypatch, tokenizer):
    """train.py with a tiny fresh model and short rows."""

    def fresh(seed, image_size=None):
        torch.manual_seed(seed)
        text = tiny_config().text_config
        text.hidden_size, text.vocab_size, text.max_position_embeddings = 64, len(tokenizer), 512
        config = tiny_config(text_config=text, image_token_id=tokenizer.convert_tokens_to_ids("<image>"))
        return MoAIForConditionalGeneration(config), MoAIProcessor(tokenizer, 32, 64)

    monkeypatch.setattr(run, "fresh_model", fresh)
    monkeypatch.setattr(
        run,
        "RowSizes",
        lambda: RowSizes(text=300, turn=48, packed=96, aux=64, questions=2, packed_questions=2, text_rows=1),
    )
    return fresh


def train(stage, output, *more):
    rows = "2" if stage == "language" else "4"
    given = ("--stage", stage, "--output", output, "--rows", rows, "--steps", "2", "--save-every", "1")
    return command.main([str(one) for one in (*given, *more)])


@pytest.fixture(scope="module")
def language_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trained") / "language"


@pytest.fixture
def language(tiny, language_folder):
    """The first stage's result, made once for all that start from it."""
    if not language_folder.is_dir():
        assert train("language", language_folder) == 0
    return language_folder


def weights(folder):
    return MoAIForConditionalGeneration.from_pretrained(folder).state_dict()


def changed(before, after) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_two_steps_of_each_stage(tiny, language, tmp_path, capsys):
    fresh = tiny(0)[0].state_dict()
    moved = changed(fresh, weights(language))
    assert moved and all(name.startswith(("language_model.", "lm_head.")) for name in moved)
    assert not any("lora" in name for name in moved)
    previous = language
    for stage in ("backbone", "compressor", "bridge", "experts", "gates"):
        folder = tmp_path / stage
        more = ("--show-every", "2", "--evaluate", "4") if stage == "experts" else ("--show-every", "0")
        assert train(stage, folder, "--init", previous, *more) == 0
        moved = changed(weights(previous), weights(folder))
        parts = {name.split(".")[0] for name in moved}
        if stage == "backbone":
            assert {"vision", "projector", "language_model"} <= parts and not {"mixers", "compressor"} & parts
        elif stage == "compressor":
            assert parts == {"compressor"}
        elif stage == "bridge":
            assert parts >= {"vision", "projector", "language_model", "mixers", "compressor"}
            # The next stage goes on with the head that writes the experts' words back.
            before, after = (load_file(one / "transcriber.safetensors") for one in (previous, folder))
            same = [torch.nn.functional.cosine_similarity(before[n].flatten(), after[n].flatten(), 0) for n in before]
            assert min(same) > 0.8
        else:
            assert parts == {"mixers", "compressor"}
            assert any("_gate" in name for name in moved) == (stage == "gates")
        record = json.loads((folder / "training.json").read_text())
        assert record["stage"] == stage and record["steps"] == 2
        previous = folder
    tables = json.loads((tmp_path / "experts" / "evaluation.json").read_text())
    assert set(tables) == {"all experts", "aux emptied"} and tables["all experts"]["overall"]["count"] == 4
    out = capsys.readouterr().out
    assert "step 2: " in out and "| kind | questions | majority | all experts | aux emptied |" in out


def test_resuming(language, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "experts"
    assert train("experts", folder, "--init", language, "--resume") == 2
    assert "there is no checkpoint in" in capsys.readouterr().err
    train("experts", folder, "--init", language, "--show-every", "0")
    checkpoint = folder / "checkpoint-2"
    assert (checkpoint / "transcriber.safetensors").is_file()
    seeds = []
    plain = ImageQuestions.about
    monkeypatch.setattr(ImageQuestions, "about", lambda self, seed: (seeds.append(seed), plain(self, seed))[1])
    train("experts", folder, "--init", language, "--show-every", "0", "--resume", "--steps", "3")
    record = json.loads((folder / "training.json").read_text())
    assert record["steps"] == 3
    assert min(seeds) == 2 * 2  # two pictures a step were seen in two steps
    assert (folder / "checkpoint-3").is_dir()


def test_the_recipe_runs_from_step_to_step(tiny, tmp_path, capsys):
    options = ["--", "--compile", "none", "--steps", "1", "--rows", "2", "--questions", "2", "--show-every", "0"]
    kept = tmp_path / "kept"
    steps = recipe.RECIPES["nano"].steps
    first, second, last = (step.name for step in steps)
    assert recipe.main([str(tmp_path), "--last", first, "--export", str(kept), *options]) == 0
    # What is there is not made again, and the next step starts from it.
    assert recipe.main([str(tmp_path), "--export", str(kept), *options]) == 0
    said = capsys.readouterr().out
    assert [said.count(f"== {step.name}") for step in steps] == [1, 1, 1]
    records = [
        json.loads((tmp_path / step.name / "training.json").read_text()) for step in recipe.RECIPES["nano"].steps
    ]
    assert [one["stage"] for one in records] == ["language", "bridge", "polish"]
    assert len({one["seed"] for one in records}) == 3
    # The newest result is kept in the shipped form.
    assert [one["stage"] for one in json.loads((kept / "training.json").read_text())["history"]][-1] == "polish"
    assert (kept / "README.md").is_file() and weights(kept).keys() == weights(tmp_path / last).keys()
    for wrong, sentence in (
        (["--first", second, "--last", first], f"{second} comes after {first}"),
        (["--first", second], "there is no model in"),
    ):
        with pytest.raises(SystemExit):
            recipe.main([str(tmp_path / "empty"), *wrong])
        assert sentence in capsys.readouterr().err


def test_a_share_of_what_training_changed_can_be_kept(language, tmp_path, capsys):
    for share in ("0", "0.5", "1"):
        train("backbone", tmp_path / share, "--init", language, "--show-every", "0", "--average", share)
    before, none, half, whole = (
        weights(folder) for folder in (language, tmp_path / "0", tmp_path / "0.5", tmp_path / "1")
    )
    names = [name for name in whole if whole[name].is_floating_point()]
    for name in names:
        torch.testing.assert_close(none[name], before[name])
        torch.testing.assert_close(half[name], (before[name] + whole[name]) / 2)
    assert changed(before, whole)
    assert train("backbone", tmp_path / "wrong", "--init", language, "--average", "1.5") == 2
    assert "average is 1.5; it must be at most 1" in capsys.readouterr().err


def test_exporting(language, tmp_path):
    train("backbone", tmp_path / "backbone", "--init", language, "--show-every", "0")
    train("gates", tmp_path / "gates", "--init", tmp_path / "backbone", "--show-every", "0")
    assert cli.main(["export", str(tmp_path / "gates"), str(tmp_path / "exported")]) == 0
    card = (tmp_path / "exported" / "README.md").read_text()
    assert "| language | `python train.py --stage language" in card and "--stage gates" in card
    # Scores come to the card once they are known.
    scores, before = tmp_path / "scores.json", weights(tmp_path / "exported")
    told = {
        "command": "moai eval answers --questions 3",
        "scores": {"all experts": {"overall": {"score": 0.5, "count": 3}}},
    }
    scores.write_text(json.dumps(told))
    assert cli.main(["export", str(tmp_path / "exported"), str(tmp_path / "exported"), "--scores", str(scores)]) == 0
    assert "| overall | 3 |  | 50.0% |" in (tmp_path / "exported" / "README.md").read_text()
    assert weights(tmp_path / "exported").keys() == before.keys()
    trained = weights(tmp_path / "gates")
    for name, tensor in weights(tmp_path / "exported").items():
        assert tensor.dtype == torch.bfloat16 or not tensor.is_floating_point()
        torch.testing.assert_close(tensor, trained[name].to(tensor.dtype))
    # Training can go on from what was shipped, and remembers.
    train("gates", tmp_path / "more", "--init", tmp_path / "exported", "--show-every", "0")
    record = json.loads((tmp_path / "more" / "training.json").read_text())
    assert [one["stage"] for one in record["history"]] == ["language", "backbone", "gates", "gates"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stage", "gates"], "gates starts from a trained model; name its folder with --init"),
        (["--stage", "gates", "--init", "/no/such"], "there is no model in /no/such to start from"),
        (
            ["--stage", "language", "--unfreeze", "brain"],
            "cannot unfreeze ['brain']; parts are vision, projector",
        ),
        (["--stage", "dreams"], "there is no experiment 'dreams'; give a YAML file, or one of backbone, bridge"),
        (["--stage", "gates", "--experts", "nose"], "unknown expert 'nose'"),
        (["--stage", "language", "--image-size", "100"], "must be a multiple of 8 pixels, got 100"),
        (["--stage", "backbone", "--init", "x", "--image-size", "96"], "leave it out with init"),
        (["--stage", "gates", "--rows", "many"], "rows: Value 'many'"),
        ([], "say what to train: a YAML file, or one of"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(tmp_path, capsys, arguments, sentence):
    assert command.main([*arguments, "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and not said.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stage", ["detector", "relations"])
@pytest.mark.parametrize(
    "option", [["--experts", "ocr"], ["--compile"], ["--packed"], ["--average", "0.5"], ["--resume"], ["--steps", "5"]]
)
def test_no_option_is_ignored(tmp_path, capsys, stage, option):
    assert command.main(["--stage", stage, *option, "--output", str(tmp_path / "out")]) == 2
    assert f"{stage} has no option {option[0]}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_result_is_named_before_anything_is_done(capsys):
    assert command.main(["--stage", "language"]) == 2
    assert "name a folder for the result with --output" in capsys.readouterr().err


def test_a_file_with_overrides_trains_as_options_do(language, tmp_path):
    short = ["rows=2", "steps=2", "save_every=1"]
    own = tmp_path / "mine.yaml"
    own.write_text("base: language\nseed: 0\n")
    assert command.main([str(own), *short, f"output={tmp_path / 'file'}"]) == 0
    assert not changed(weights(language), weights(tmp_path / "file"))
    # What was run can be run again from its own record.
    again = [str(tmp_path / "file" / "experiment.yaml"), f"output={tmp_path / 'again'}"]
    assert command.main(again) == 0
    assert not changed(weights(tmp_path / "file"), weights(tmp_path / "again"))
    assert load_experiment(tmp_path / "file" / "experiment.yaml").rows == 2
    assert json.loads((tmp_path / "file" / "training.json").read_text())["stage"] == "mine"


def test_a_fresh_model_may_see_smaller_pictures():
    model, processor = run.fresh_model(0, 96)
    assert processor.image_size == 96 and processor.num_image_tokens == model.config.num_image_tokens == 144


def test_the_objective_scores_what_the_model_scores(model_folder, processor):
    model = MoAIForConditionalGeneration.from_pretrained(model_folder)
    sizes = RowSizes(turn=48, aux=64, questions=2)
    sample = drawn_samples(processor, sizes, windows=1, readings=1).sample(1)
    batch = {name: torch.from_numpy(values)[None] for name, values in sample.items()}
    objective = MoAIObjective(model, processor, STAGES["gates"]).eval()
    losses = objective(**batch)
    assert set(losses) == {"loss", "answers", "transcript"} and all(loss.isfinite() for loss in losses.values())
    labels = batch["labels"].flatten(0, 1)
    rows = {name: values.flatten(0, 1) for name, values in batch.items() if name in ("input_ids", "prompt_mask")}
    maps = normalize_pixels(torch.from_numpy(voc_palette())[batch["panoptic"].long()].permute(0, 3, 1, 2))
    encoded = model.encode(normalize_pixels(batch["pixels"]), batch["aux_input_ids"], batch["aux_attention_mask"], maps)
    repeated = {name: values.repeat_interleave(2, dim=0) for name, values in encoded.items()}
    logits = model(**rows, **repeated).logits
    whole = weighted_cross_entropy(logits, labels, batch["weights"].flatten(0, 1))
    torch.testing.assert_close(losses["answers"], whole.detach(), atol=1e-4, rtol=1e-4)


def test_answers_and_tables(model_folder, processor):
    model = MoAIForConditionalGeneration.from_pretrained(model_folder).eval()
    examples = list(simulated_examples(6, per_image=3))
    assert len(examples) == 6
    tables = {}
    for name, experts in (("all", ("segmentation", "ocr")), ("emptied", ()), ("backbone", None)):
        answers = answer_examples(model, processor, examples, experts, batch_size=4, max_new_tokens=3)
        assert len(answers) == 6
        tables[name] = tabulate(examples, answers)
    right = tabulate(examples, [example.question.answer for example in examples])
    assert right["overall"]["score"] == 1.0 and right["overall"]["count"] == 6
    assert list(right)[-1] == "overall"
    for table in tables.values():
        assert all(0 <= row["score"] <= 1 for row in table.values())
    text = print_table({"right": right, **tables})
    assert text.splitlines()[-1].startswith("| overall | 6 |") and "100.0%" in text.splitlines()[-1]
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_rows_of_text_that_share_a_scene():
    stage = STAGES["language"]
    assert run.row_sizes(stage)[0].text_rows == run.row_sizes(stage)[1] == 2
    sizes, rows = run.row_sizes(dataclasses.replace(stage, questions=8, text_tokens=100))
    assert (sizes.text_rows, rows, sizes.text) == (8, 8, 100)
    assert run.row_sizes(STAGES["compressor"])[1] == 1 and run.row_sizes(STAGES["gates"])[1] == 8


def test_processes_that_draw_end_with_training(tiny, tmp_path):
    train("language", tmp_path, "--workers", "2", "--show-every", "0")
    assert not multiprocessing.active_children()
