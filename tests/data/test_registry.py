"""A data set of one's own is a file and a line; what it gives becomes rows of any form."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from moai.data import registry
from moai.data.example import Example, Meta
from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes, trimmed
from moai.models.modeling import IGNORED, MoAIForConditionalGeneration
from moai.training import command
from moai.training.experiment import load_experiment
from moai.training.objective import MoAIObjective
from moai.training.stages import freeze_all_but
from perception.verbalize import verbalize

SIZES = RowSizes(text=200, turn=48, packed=96, aux=64, questions=2, text_rows=2)
EXAMPLES = Path(__file__).parents[2] / "examples"
LINES = [
    {"image": "street.png", "question": "What is this?", "answer": "A street"},
    {"image": "bed.png", "question": "What is this?", "answer": "A bed"},
    {"image": "table.png", "question": "What is on the table?", "answer": "A cup"},
]


@pytest.fixture
def jsonl(tmp_path, monkeypatch):
    """The file, and the source's line in the registry."""
    monkeypatch.setitem(registry.SOURCES, "jsonl", "tests.data.jsonl:Jsonl")
    for line in LINES:
        shutil.copy(EXAMPLES / line["image"], tmp_path)
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)))
    return {"name": "jsonl", "path": path}


def test_a_file_and_a_line_train_two_steps(jsonl, model_folder, processor):
    torch.manual_seed(0)
    stage = load_experiment("gates")
    rows = rows_for(processor, sizes=SIZES, windows=1, packed=True)
    samples = build([{**jsonl, "weight": 3}, {"name": "drawn", "readings": 1}], rows)
    model = MoAIForConditionalGeneration.from_pretrained(model_folder)
    freeze_all_but(model, stage.trains)
    objective = MoAIObjective(model, processor, stage, samples.class_names).train()
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in trained]
    optimizer = torch.optim.AdamW(trained, 1e-3)
    for batch in itertools.islice(DataLoader(samples, 4, collate_fn=trimmed), 2):
        loss = objective(**batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
    assert all(not torch.equal(old, new) for old, new in zip(before, trained, strict=True))


def test_it_trains_alone_from_the_command_line(jsonl, model_folder, tmp_path):
    """Without scenes there is nothing to write back, and no loss of it."""
    data = f"data=[{{name: jsonl, path: {jsonl['path']}}}]"
    settings = [
        "rows=4",
        "questions=1",
        "steps=2",
        "show_every=0",
        f"init={model_folder}",
        f"output={tmp_path / 'out'}",
    ]
    assert command.main(["gates", data, *settings]) == 0
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["steps"] == 2
    trained = MoAIForConditionalGeneration.from_pretrained(tmp_path / "out").state_dict()
    before = MoAIForConditionalGeneration.from_pretrained(model_folder).state_dict()
    assert all(value.isfinite().all() for value in trained.values())
    assert any(not torch.equal(before[name], value) for name, value in trained.items())


def test_each_line_once_an_epoch_shuffled_anew(jsonl, processor):
    samples = build([jsonl], rows_for(processor, sizes=SIZES, experts=()), seed=1)
    epochs = []
    for epoch in range(6):
        told = [samples.sample(3 * epoch + number) for number in range(3)]
        answers = [processor.tokenizer.decode(one["input_ids"][0][one["labels"][0] != IGNORED]) for one in told]
        assert sorted(answers) == [f" {line['answer']}</s>" for line in sorted(LINES, key=lambda one: one["answer"])]
        epochs.append(tuple(answers))
    assert len(set(epochs)) > 1


def test_patches_without_names_train_nothing(jsonl, model_folder, processor):
    model = MoAIForConditionalGeneration.from_pretrained(model_folder)
    rows = rows_for(processor, sizes=SIZES, experts=())
    alone, mixed = build([jsonl], rows), build([jsonl, {"name": "drawn"}], rows)
    batch = trimmed([alone.sample(0)])
    assert alone.class_names == () and mixed.class_names
    assert (batch["patch_labels"] == IGNORED).all()
    stage = load_experiment("backbone")
    assert set(MoAIObjective(model, processor, stage, alone.class_names)(**batch)) == {"loss", "answers"}
    named = MoAIObjective(model, processor, stage, mixed.class_names)(**batch)
    assert named["patches"] == 0 and named["loss"].isfinite()


class One:
    class_names = ("cat",)

    def __init__(self, example):
        self.example = example

    def examples(self, position):
        yield self.example


def sample(example, processor, **form):
    rows = rows_for(processor, sizes=SIZES, **form)
    return rows.sample(One(example).examples(0), np.random.default_rng(0))


PICTURE = np.full((30, 40, 3), 90, np.uint8)
TURN = ("What is this?", "A dog")


def test_what_a_source_leaves_out_is_empty_and_shapes_stay(processor, scene):
    whole = sample(Example(PICTURE, scene, [TURN]), processor, windows=1)
    bare = sample(Example(PICTURE, None, [TURN]), processor, windows=1)
    assert {name: (one.shape, one.dtype) for name, one in whole.items()} == {
        name: (one.shape, one.dtype) for name, one in bare.items()
    }
    assert whole["aux_attention_mask"].any() and whole["panoptic"].any()
    assert not bare["aux_attention_mask"].any() and not bare["panoptic"].any()
    assert sample(Example(scene=scene), processor, pictures=False)["aux_attention_mask"].any()
    assert sample(Example(PICTURE), processor, pictures=False) is None
    assert sample(Example(PICTURE, scene), processor, experts=()) is None


def test_who_speaks(processor, scene):
    decode = processor.tokenizer.decode
    for experts, words, coloured in ((None, "bench", True), (("ocr",), "OPEN 24", False)):
        made = sample(Example(PICTURE, scene, [TURN], Meta(experts=experts)), processor)
        told = decode(made["aux_input_ids"][made["aux_attention_mask"] > 0])
        assert words in told and ("bench" in told) == coloured and made["panoptic"].any() == coloured


def test_weights_and_windows_of_an_example(processor, scene):
    plain = sample(Example(PICTURE, scene, [TURN]), processor, packed=True)
    double = sample(Example(PICTURE, scene, [TURN], Meta(weight=2.0)), processor, packed=True)
    assert np.array_equal(double["weights"], 2 * plain["weights"]) and plain["weights"].any()
    with_windows = sample(Example(PICTURE, scene, [TURN]), processor, windows=2, packed=True)
    without = sample(Example(PICTURE, scene, [TURN], Meta(windows=False)), processor, windows=2, packed=True)
    assert with_windows["turn_ids"].max() == 3 and without["turn_ids"].max() == 1


def test_text_alone(processor, scene):
    told = sample(Example(scene=scene, turns=[TURN]), processor, pictures=False, experts=())
    assert told["input_ids"].shape == (2, 200) and np.array_equal(told["input_ids"][0], told["input_ids"][1])
    words = processor.tokenizer.decode(told["input_ids"][0])
    assert verbalize(scene).strip() in words and " USER: What is this? ASSISTANT: A dog</s>" in words
    bare = sample(Example(turns=[TURN]), processor, pictures=False, experts=())
    text = processor.tokenizer.decode(bare["input_ids"][0][bare["labels"][0] != IGNORED])
    assert text.endswith(" USER: What is this? ASSISTANT: A dog</s>")


def test_what_does_not_fit_the_stage_is_told(processor):
    with pytest.raises(ValueError, match="needs a scene where pictures are not shown"):
        sample(Example(PICTURE, turns=[TURN]), processor, pictures=False, experts=())
    with pytest.raises(ValueError, match="needs a picture where pictures are shown"):
        sample(Example(turns=[TURN]), processor)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"name": "photos"}, "unknown data source 'photos'; allowed are drawn"),
        ({"weight": 2}, "unknown data source None; allowed are drawn"),
        ({"name": "drawn", "colour": 1}, "the data source 'drawn' does not know a setting: .*'colour'"),
        ({"name": "drawn", "weight": -1}, "the weight of a source must be a positive number, got -1"),
        ({"name": "drawn", "difficulty": 2}, "difficulty must be within 0..1, got 2"),
        ({"name": "drawn", "unfamiliar": 1.5}, "the share of unfamiliar pictures must be within 0 to 1, got 1.5"),
    ],
)
def test_wrong_sources(processor, source, sentence):
    with pytest.raises(ValueError, match=sentence):
        build([source], rows_for(processor))
