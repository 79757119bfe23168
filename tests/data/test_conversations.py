"""Conversations about one's own pictures: LLaVA's JSON, chat messages, data sets of the hub."""

import base64
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes
from moai.models.modeling import IGNORED

SIZES = RowSizes(text=200, turn=60, aux=64, questions=3, text_rows=2)
TURNS = [("What is this?", "A dog"), ("What is it on?", "A bench"), ("Is it a cat?", "No")]


def talk(turns=TURNS, image="p0.png", **more) -> dict:
    """A row as LLaVA has it."""
    said = [{"from": who, "value": text} for turn in turns for who, text in zip(("human", "gpt"), turn, strict=True)]
    said[0]["value"] = f"<image>\n{said[0]['value']}" if image else said[0]["value"]
    return ({"image": image} if image else {}) | {"conversations": said} | more


@pytest.fixture
def folder(tmp_path):
    """A folder with four pictures, and a file that is none."""
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"p{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return tmp_path


def llava(folder, rows, processor, experts=(), sizes=SIZES, **settings):
    (folder / "data.json").write_text(json.dumps(rows, ensure_ascii=False))
    made = rows_for(processor, experts=experts, sizes=sizes)
    return build([{"name": "llava", "file": folder / "data.json", **settings}], made)


def said(processor, row: dict, number: int) -> tuple[str, str, str]:
    """What stands before an answer, the answer, and what mixers see of the row, without image tokens."""
    ids, labels = row["input_ids"][number], row["labels"][number]
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    start = int(np.flatnonzero(labels != IGNORED)[0])
    prompt, answer = ids[:start], labels[labels != IGNORED]
    seen = ids[row["prompt_mask"][number] > 0]
    texts = (processor.tokenizer.decode(some[some != image]) for some in (prompt, answer, seen))
    return tuple(texts)


def test_each_answer_has_what_was_said_before_as_its_prompt(folder, processor):
    row = llava(folder, [talk()], processor).sample(0)
    assert row["input_ids"].shape == (3, len(processor.prefix_ids(True)) + SIZES.turn)
    last = "USER: What is this? ASSISTANT: A dog</s> USER: What is it on? ASSISTANT: A bench</s> USER: Is it a cat?"
    for number, (asked, answer) in enumerate(TURNS):
        prompt, label, seen = said(processor, row, number)
        assert prompt.endswith(f" USER: {asked} ASSISTANT:") and label == f" {answer}</s>"
        assert seen == prompt  # no answer before it is said
    assert last in said(processor, row, 2)[0]
    messages = [
        {"role": role, "content": text}
        for turn in TURNS
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    ids = processor.conversation_ids(messages[:-1], with_image=True)
    assert row["input_ids"][2][: len(ids)].tolist() == ids  # just as a chat is answered


def test_a_seeded_choice_of_many_answers_in_their_order(folder, processor):
    many = [talk([(f"What is {number}?", f"It is {number}") for number in range(3)])]
    few = RowSizes(turn=60, questions=2)
    samples = llava(folder, many, processor, sizes=few)
    chosen = [[said(processor, samples.sample(k), n)[1] for n in range(2)] for k in range(8)]
    assert all(first < second for first, second in chosen) and len({tuple(one) for one in chosen}) > 1
    assert chosen[3] == [said(processor, samples.sample(3), n)[1] for n in range(2)]


def test_what_does_not_fit_is_cut_between_turns_and_counted(folder, processor):
    long = [talk([TURNS[0], ("Tell me more.", "a dog on a bench " * 20), TURNS[2]])]
    samples = llava(folder, long, processor)
    assert {said(processor, samples.sample(0), n)[1] for n in range(3)} == {" A dog</s>"}
    (told,) = samples.reports()
    assert "answers that do not fit into a row: 2 (data.json row 1, answer" in told and "there is room for" in told
    (folder / "none.yaml").write_text("segmentation: off\ndetection: off\nscene_graph: off\nocr: off")
    text = rows_for(processor, pictures=False, experts=(), sizes=RowSizes(text=60))
    one = build([{"name": "llava", "file": folder / "data.json", "experts_from": folder / "none.yaml"}], text)
    row = one.sample(0)
    assert processor.tokenizer.decode(row["labels"][0][row["weights"][0] > 0]) == " A dog</s>"


def test_packed_answers_do_not_see_each_other(folder, processor):
    rows = rows_for(processor, experts=(), sizes=RowSizes(packed=200, questions=3), packed=True)
    (folder / "data.json").write_text(json.dumps([talk()]))
    row = build([{"name": "llava", "file": folder / "data.json"}], rows).sample(0)
    turns = [row["turn_ids"] == number for number in (1, 2, 3)]
    second = processor.tokenizer.decode(row["input_ids"][turns[1]])
    assert "A dog</s> USER: What is it on? ASSISTANT: A bench</s>" in second
    labels = processor.tokenizer.decode(row["labels"][turns[1]][row["labels"][turns[1]] != IGNORED])
    assert labels == " A bench</s>"


def test_text_alone_is_one_row_of_all_answers(folder, processor):
    rows = rows_for(processor, pictures=False, experts=(), sizes=SIZES)
    (folder / "data.json").write_text(json.dumps([talk(image=None)]))
    row = build([{"name": "llava", "file": folder / "data.json"}], rows).sample(0)
    answers = processor.tokenizer.decode(row["input_ids"][0][row["weights"][0] > 0])
    assert answers == " A dog</s> A bench</s> No</s>"
    assert row["input_ids"].shape == row["weights"].shape == (2, SIZES.text)


def test_epochs_without_end_and_rows_held_out(folder, processor):
    rows = [talk([(f"Row {number}?", "Yes")], image=f"p{number % 4}.png") for number in range(8)]
    samples = llava(folder, rows, processor, hold_out=1)
    source = samples.source.sources[0]
    held = [example.dialogue[0]["content"] for example in samples.held_out(9)]
    assert len(held) == 2 and abs(int(held[0][4]) - int(held[1][4])) == 4  # both rows of one picture
    assert held == [example.dialogue[0]["content"] for example in samples.held_out(2)]

    def order(start):
        return [next(iter(source.examples(start + k))).dialogue[0]["content"] for k in range(6)]

    first, second = order(0), order(6)
    assert sorted(first) == sorted(second) and first != second and not set(first) & set(held)
    assert first == order(0)
    assert order(3)[:3] == first[3:]  # any position, without those before
    with pytest.raises(ValueError, match="hold_out leaves nothing to train on: the data has 8 rows"):
        llava(folder, rows, processor, hold_out=7)
    with pytest.raises(ValueError, match="hold_out is a number of rows from 0 on, got -1"):
        llava(folder, rows, processor, hold_out=-1)


def test_what_cannot_be_used_is_skipped_and_listed_also_by_workers(folder, processor):
    rows = [talk(image="p0.png"), talk(image="broken.png"), talk(image="none.png"), talk(image=["p0.png", "p1.png"])]
    rows += [talk(image=None), {"image": "p0.png"}, talk([("", "")]), {"conversations": [{"from": "alien"}]}]
    samples = llava(folder, rows, processor)
    batches = iter(DataLoader(samples, 2, num_workers=2))
    for _ in range(3):
        next(batches)
    told = samples.source.sources[0].skipped.entries()
    assert set(told) == {f"data.json row {number}" for number in range(2, 9)}
    assert "broken.png is not a picture" in told["data.json row 2"]
    assert told["data.json row 3"] == f"its picture {folder / 'none.png'} is missing"
    assert told["data.json row 4"] == "it has 2 pictures, and the model takes one"
    assert "it has no picture" in told["data.json row 5"] and "no list" in told["data.json row 6"]
    assert told["data.json row 7"] == "it has an empty answer" and "'alien'" in told["data.json row 8"]
    assert "rows skipped: 7 (data.json row" in samples.reports()[0] and "; and 2 more" in samples.reports()[0]
    with pytest.raises(
        ValueError, match=r"no row can be trained on; rows skipped: 1 \(data.json row 1: its picture .* is missing"
    ):
        llava(folder, [talk(image="none.png")], processor)
    only_broken = llava(folder, [talk(image="broken.png")], processor)
    with pytest.raises(
        ValueError, match=r"no row can be trained on; rows skipped: 1 \(data.json row 1: .* not a picture"
    ):
        next(iter(only_broken))


def test_lines_and_lists_of_any_letters(folder, processor):
    rows = [talk([("Où est l'é?", f"日本 {number}")], image=f"p{number}.png") for number in range(3)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    broken = {
        "data.json line 3": "it is not valid JSON: Expecting value",
        "data.json line 9": "it is not a JSON object",
    }
    as_lines = "\n\n".join([lines[0], '{"image": ', *lines[1:], "7"])
    for text, skipped in ((as_lines, broken), (json.dumps(rows, ensure_ascii=False, indent=2), {})):
        for begin in (b"", b"\xef\xbb\xbf"):
            (folder / "data.json").write_bytes(begin + text.encode())
            samples = build([{"name": "llava", "file": folder / "data.json"}], rows_for(processor, experts=()))
            source = samples.source.sources[0]
            answers = [next(iter(source.examples(k))).dialogue[1]["content"] for k in range(3)]
            assert sorted(answers) == ["日本 0", "日本 1", "日本 2"]
            assert source.skipped.entries() == skipped


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("  ", "data.json is empty; give a JSON list of rows, or one JSON object a line"),
        ("[]", "data.json holds no rows"),
        ('[{"a": 1},\n{"b": }]', "data.json is not valid JSON at line 2: Expecting value"),
        ("[1]", r"no row can be trained on; rows skipped: 1 \(data.json row 1: it is not a JSON object"),
        (None, "data.json cannot be read"),
    ],
)
def test_files_that_cannot_be_read(folder, processor, text, sentence):
    if text is not None:
        (folder / "data.json").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        build([{"name": "llava", "file": folder / "data.json"}], rows_for(processor))
    for settings, told in (({}, "needs a setting: .*'file'"), ({"images": folder / "no"}, "no folder of pictures")):
        (folder / "data.json").write_text(json.dumps([talk()]))
        with pytest.raises(ValueError, match=told):
            build(
                [{"name": "llava", **({"file": folder / "data.json"} if settings else {}), **settings}],
                rows_for(processor),
            )


def test_chat_messages(folder, processor):
    parts = [{"type": "image"}, {"type": "text", "text": "What is this?"}]
    answer = {"role": "assistant", "content": "A dog"}
    encoded = base64.b64encode((folder / "p0.png").read_bytes()).decode()
    rows = [
        {"messages": [{"role": "user", "content": parts}, answer], "images": ["p0.png"]},
        {"messages": [{"role": "user", "content": parts}, answer], "images": [{"bytes": encoded, "path": None}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "image": "p0.png"}, parts[1]]}, answer]},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is this?"}, answer]}
        | {"images": ["p0.png"]},
        {"messages": [{"role": "user", "content": [{"type": "video"}]}, answer], "images": ["p0.png"]},
        {
            "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, answer],
            "images": ["p0.png"],
        },
        {"messages": [{"role": "user", "content": parts}, answer], "images": ["p0.png", "p1.png"]},
    ]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)))
    samples = build([{"name": "messages", "file": folder / "chat.jsonl"}], rows_for(processor, experts=(), sizes=SIZES))
    source = samples.source.sources[0]
    pictures = {row: source.example(row).image for row in range(4)}
    assert all(np.array_equal(pictures[0], pictures[row]) for row in range(4))
    prompts = set()
    for position in range(len(source.trained)):
        prompt, label, _ = said(processor, samples.sample(position), 0)
        prompts.add(prompt.rsplit(".", 1)[1] if "Be brief" not in prompt else prompt.split(".", 1)[1])
        assert label == " A dog</s>"
    # A style without system messages has this one before the first question.
    assert prompts == {" USER: What is this? ASSISTANT:", " USER: Be brief.\nWhat is this? ASSISTANT:"}
    told = source.skipped.entries()
    assert told["chat.jsonl line 5"] == "it has a part of type 'video'; allowed are text and image"
    assert told["chat.jsonl line 6"].endswith("user speaks out of turn; user and assistant alternate")
    assert told["chat.jsonl line 7"] == "it has 2 pictures, and the model takes one"


def test_data_sets_of_the_hub(folder, processor, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "kept")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    pictures = [Image.open(folder / f"p{number}.png") for number in range(3)]
    columns = {"image": pictures, "question": ["What?"] * 3, "answer": [["a", "b"], ["c"], ["d"]]}
    typed = datasets.Features({"image": datasets.Image()} | {"question": datasets.Value("string")})
    typed["answer"] = datasets.List(datasets.Value("string"))
    datasets.Dataset.from_dict(columns, typed).to_parquet(folder / "asked.parquet")
    rows = rows_for(processor, experts=(), sizes=SIZES)
    source = build([{"name": "hub", "path": folder / "asked.parquet", "hold_out": 1}], rows).source.sources[0]
    assert len(source.held) == 1 and len(source.trained) == 2
    example = source.example(0)
    assert np.array_equal(example.image, np.asarray(pictures[0])) and example.dialogue[1]["content"] == "a"
    own = folder / "own"
    own.mkdir()
    pictures[0].save(own / "a.png")
    (own / "metadata.jsonl").write_text('{"file_name": "a.png", "question": "What?", "answer": "It"}')
    assert build([{"name": "hub", "path": own}], rows).sample(0) is not None
    for settings, sentence in (
        ({"path": folder / "asked.parquet", "answer": "said"}, "has no column 'said'; it has image, question, answer"),
        ({"path": folder / "asked.parquet", "split": "dev"}, "cannot be loaded: Unknown split"),
        ({"path": folder / "no.parquet"}, "there is no file"),
        ({"path": "no-such/data"}, "the data set no-such/data cannot be loaded"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build([{"name": "hub", **settings}], rows)


def test_drawn_and_own_data_together_hold_out_in_turns(folder, processor):
    rows = rows_for(processor, experts=("ocr",), sizes=SIZES)
    (folder / "data.json").write_text(json.dumps([talk(), talk(image="p1.png")]))
    (folder / "none.yaml").write_text("segmentation: off\ndetection: off\nscene_graph: off\nocr: off")
    own = {"name": "llava", "file": folder / "data.json", "hold_out": 1, "experts_from": folder / "none.yaml"}
    samples = build([own, {"name": "drawn"}], rows)
    kept = samples.held_out(3)
    assert [bool(example.dialogue) for example in kept] == [True, False, False]
    assert all(example.scene is not None and example.image is not None for example in kept)
    torch.utils.data.default_collate([samples.sample(k) for k in range(4)])  # both have the same arrays
