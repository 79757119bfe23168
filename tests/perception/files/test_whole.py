import json
import os

import pytest

from perception.files.whole import json_of, lines_of, move_folder, whole_file, write_json, write_whole
from tests.full_disk import full_disk


def test_what_is_written_is_there_as_a_whole_and_alone(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"é": [1, "\u2028"]})
    assert json.loads(path.read_text()) == {"é": [1, "\u2028"]} and "é" in path.read_text()
    write_whole(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff" and os.listdir(tmp_path) == ["a.json"]


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, "old")
    with pytest.raises(OSError), full_disk(1000):
        write_whole(path, "new" * 1000)
    with pytest.raises(KeyError), whole_file(path) as beside:
        beside.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_half_of_a_character_is_escaped():
    assert json.loads(json_of({"a": "\ud83d é"}).encode()) == {"a": "\ud83d é"}


def test_one_character_ends_a_line():
    assert lines_of("a\u2028b\x85c\x0cd\re\n\nf") == ["a\u2028b\x85c\x0cd\re", "", "f"]
    assert lines_of("a\n") == ["a"] and lines_of("") == []


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_takes_its_place(tmp_path, there):
    made, target = tmp_path / "made", tmp_path / "target"
    (made / "inner").mkdir(parents=True)
    (made / "inner" / "file").write_text("new")
    if there:
        target.mkdir()
        (target / "old").write_text("old")
    move_folder(made, target)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["target", "inner", "file"]
