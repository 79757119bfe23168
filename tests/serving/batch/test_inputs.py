"""Rows of folders, JSON lines and parquet; the folder that keeps answers; every sentence a person can meet."""

import json
import logging
import pickle

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from moai.cli import main
from moai.serving.batch.folder import RunFolder
from moai.serving.batch.inputs import source_of
from moai.serving.batch.job import _missing
from moai.serving.batch.outputs import line_of
from moai.serving.batch.stages import decode, decoded

SETTINGS = {"model": "a", "format": "jsonl"}


@pytest.fixture(autouse=True)
def loud_again():
    """The command line quiets libraries; the other tests want to hear them."""
    before = logging.root.manager.disable
    yield
    logging.disable(before)


def rows_of(source):
    return [row for unit in source.units for row in unit.rows()]


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def test_json_lines_are_found_where_they_are(tmp_path, picture):
    lines = [json.dumps({"id": number, "picture": "p.png", "question": f"{number}\u2028?"}) for number in range(5)]
    lines[3:3] = ["", "{broken", "[1]", '{"picture": "p.png"}', '{"question": "no picture"}']
    path = tmp_path / "rows.jsonl"
    path.write_text("\r\n".join(lines))
    source = source_of(path, lot=2)
    rows = rows_of(source)
    assert source.count == len(rows) == 9 and [row.number for row in rows] == list(range(9))
    assert [row.id for row in rows if row.error is None] == [0, 1, 2, 3, 4]
    assert rows[0].picture == str(picture) and rows[0].shown == "p.png" and rows[8].question == "4\u2028?"
    assert [row.error for row in rows[3:7]] == [
        "line 5 of rows.jsonl is not valid JSON (Expecting property name enclosed in double quotes)",
        "line 6 of rows.jsonl is not a JSON object",
        'the row has no question; give it a "question", or all a --question',
        'the row has no picture; "picture" must be a path, a data: URL or bytes',
    ]
    assert source_of(path, "What?", lot=2).digest == source.digest
    assert rows_of(source_of(path, "What?"))[5].question == "What?"
    assert pickle.loads(pickle.dumps(source.units)) == source.units
    path.write_text(path.read_text() + "\n{}")
    assert source_of(path).digest != source.digest


def test_parquet_holds_paths_or_bytes(tmp_path, picture):
    data = picture.read_bytes()
    pictures = [{"bytes": data, "path": None}, {"bytes": None, "path": "p.png"}, {"bytes": b"", "path": None}] * 10
    table = pyarrow.table({"image": pictures, "question": ["What?"] * 30, "other": range(30)})
    parquet.write_table(table, tmp_path / "b.parquet", row_group_size=7)
    source = source_of(tmp_path / "b.parquet")
    rows = rows_of(source)
    assert source.count == 30 and [row.number for row in rows] == list(range(30)) and len(source.units) == 5
    works = [decoded(row) for row in rows[:3]]
    assert works[0].pixels.shape == works[1].pixels.shape == (20, 30, 3) and "no picture" in works[2].row.error
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=50)
    assert [row.number for row in rows_of(source_of(tmp_path))] == list(range(60))


def test_only_the_rows_that_are_missing_are_read(tmp_path, picture):
    table = pyarrow.table({"picture": [picture.read_bytes()] * 50, "question": ["What?"] * 50})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=20)
    missing = _missing(source_of(tmp_path / "rows.parquet"), 16, {0, 2})
    read = [work.row.number for lot in decode(missing) for work in lot]
    assert read == [*range(16, 32), 48, 49]
    assert _missing(source_of(tmp_path / "rows.parquet"), 16, {0, 1, 2, 3}) == []


def test_a_broken_picture_is_a_row_with_its_sentence(tmp_path, picture):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (lot,) = decode([(unit, [range(9)]) for unit in source_of(tmp_path, "What?").units])
    assert [work.row.shown for work in lot] == ["broken.jpg", "p.png"]
    assert "broken.jpg is not a picture in a known format" in lot[0].row.error and lot[1].row.error is None


def test_parts_are_whole_and_in_order(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS, 5, 2) as folder:
        for row in (1, 4, 2):
            folder.keep(row, line_of({"row": row, "answer": "\u2028 \ud800"}))
        assert folder.done() == {2}
        with (
            pytest.raises(ValueError, match="another batch is writing to"),
            RunFolder(tmp_path / "run", SETTINGS, 5, 2),
        ):
            pass
    with RunFolder(tmp_path / "run", SETTINGS, 5, 2) as folder:
        assert folder.done() == {2}
        for row in (3, 0, 2, 1):
            folder.keep(row, line_of({"row": row}))
        folder.finish()
        assert folder.finished
    lines = (tmp_path / "run/answers.jsonl").read_bytes().split(b"\n")
    assert [json.loads(line)["row"] for line in lines if line] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="holds answers with model 'a', not 'b'; give another --out"):
        RunFolder(tmp_path / "run", SETTINGS | {"model": "b"}, 5, 2).__enter__()
    (tmp_path / "run/batch.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged; remove it"):
        RunFolder(tmp_path / "run", SETTINGS, 5, 2).__enter__()


def test_parquet_out_has_a_column_for_each_part(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS | {"format": "parquet"}, 2, 2) as folder:
        evidence = {"words": "a dog\ud800", "scene": {"width": 3}}
        record = {"row": 0, "id": 7, "answer": "Yes", "evidence": evidence, "timings": {"load": 0.5}, "warnings": ["w"]}
        folder.keep(1, line_of({"row": 1, "error": "gone"}))
        folder.keep(0, line_of(record))
        folder.finish()
    first, second = parquet.read_table(tmp_path / "run/answers.parquet").to_pylist()
    assert (first["id"], first["answer"], first["words"], first["warnings"]) == ("7", "Yes", "a dog?", ["w"])
    assert first["timings"] == [("load", 0.5)] and json.loads(first["scene"]) == {"width": 3}
    assert second["error"] == "gone" and second["answer"] is None


@pytest.mark.parametrize(
    ("source", "words", "sentence"),
    [
        ("gone", (), "there is no {folder}/gone; give a folder of pictures, a .jsonl or a .parquet file"),
        ("p.png", (), "p.png is not a kind that is read"),
        ("", (), "say with --question what is asked about the pictures of a folder"),
        ("empty.jsonl", (), "holds no rows; give one JSON object a line"),
        ("bad.parquet", (), "cannot be read as parquet"),
        ("none.parquet", (), 'has the columns x; it needs "picture" (or "image")'),
        ("", ("--question", "What?", "--model", "nothing"), "it must be"),
        ("", ("--question", "What?", "--experts", "nose"), "nose"),
        ("", ("--question", "What?", "--max-new-tokens", "0"), "invalid value for '--max-new-tokens'"),
        ("", ("--question", "What?", "--out", "{folder}/p.png"), "answers cannot be kept in {folder}/p.png"),
    ],
)
def test_what_is_wrong_is_one_sentence(capsys, tmp_path, picture, source, words, sentence):
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "bad").mkdir()
    folder = tmp_path
    if source.endswith(".parquet"):
        folder = tmp_path / "bad"
        parquet.write_table(pyarrow.table({"x": [1]}), folder / "none.parquet")
        (folder / "bad.parquet").write_bytes(b"PAR1")
    words = [word.format(folder=tmp_path) for word in words]
    code = main(["batch", str(folder / source), *([] if "--out" in words else ["--out", str(tmp_path / "o")]), *words])
    err = capsys.readouterr().err
    assert code == 2 and sentence.format(folder=tmp_path) in err and len(err.strip().splitlines()) == 1
