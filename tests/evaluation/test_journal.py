"""Answers that are kept: whatever they hold, whoever else writes, and wherever a run was killed."""

import json
import subprocess
import sys

import pytest

from moai.evaluation.journal import Journal, JournalError
from tests.full_disk import full_disk

ODD = ["a\u2028b", "\u2029", "\x85", "\x0c\x0b\x1c\x1d\x1e", "\r\n", "\ud83d", "é \U0001f600", ""]


def rows_in(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "answers.jsonl").read_bytes().split(b"\n") if line]


def test_answers_of_all_characters_are_read_back(tmp_path):
    written = {f"key {text}": text for text in ODD}
    Journal(tmp_path, {"a": 1}).add({"key": key, "answer": text} for key, text in written.items())
    assert Journal(tmp_path, {"a": 1}).answers == written
    assert len(rows_in(tmp_path)) == len(ODD)


@pytest.mark.parametrize("torn", [b'{"key": "b", "ans', b'{"key": "b", "answer": "\xe2\x80', b"\x00\x00", b"["])
def test_a_line_that_was_cut_off_is_dropped_and_told_of(tmp_path, capsys, torn):
    Journal(tmp_path, {}).add([{"key": "a", "answer": "1"}])
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(torn)
    journal = Journal(tmp_path, {})
    assert journal.answers == {"a": "1"}
    assert "answers.jsonl was cut off; it is dropped and answered anew" in capsys.readouterr().err
    journal.add([{"key": "b", "answer": "2"}])
    assert rows_in(tmp_path) == [{"key": "a", "answer": "1"}, {"key": "b", "answer": "2"}]
    assert Journal(tmp_path, {}).answers == {"a": "1", "b": "2"} and not capsys.readouterr().err


def test_damaged_lines_are_asked_anew(tmp_path):
    deep = "[" * 100_000
    lines = [
        '{"key": ["a"], "answer": "1"}',
        '{"key": null, "answer": "1"}',
        "7",
        deep,
        "",
        '{"key": "b", "answer": "2"}',
    ]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines) + "\n")
    assert Journal(tmp_path, {}).answers == {"b": "2"}


def test_a_key_that_is_no_text_is_refused(tmp_path):
    journal = Journal(tmp_path, {})
    with pytest.raises(ValueError, match=r"the key of an answer must be a text or a number, not \['a'\]"):
        journal.add([{"key": "b", "answer": ""}, {"key": ["a"], "answer": ""}])
    assert not (tmp_path / "answers.jsonl").exists()


OTHER = """
import sys
from pathlib import Path
from moai.evaluation.journal import Journal
journal = Journal(Path(sys.argv[1]), {})
print("begun", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_for_one_run_at_a_time(tmp_path):
    with subprocess.Popen([sys.executable, "-c", OTHER, tmp_path], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "begun\n"
        with pytest.raises(
            JournalError, match=r"another run is writing answers to .*; wait for its end, or give another"
        ):
            Journal(tmp_path, {})
        Journal(tmp_path, {}, rank=1).add([{"key": "a", "answer": "1"}])
        other.kill()
    assert Journal(tmp_path, {}).answers == {"a": "1"}


def test_on_a_full_disk_nothing_is_half_there(tmp_path):
    journal = Journal(tmp_path, {})
    journal.add([{"key": "a", "answer": "1"}])
    with full_disk(100), pytest.raises(JournalError, match=r"answers cannot be kept in .* \(.+\); give another --out"):
        journal.add([{"key": str(number), "answer": "x" * 30} for number in range(9)])
    assert rows_in(tmp_path) == [{"key": "a", "answer": "1"}] and journal.answers == {"a": "1"}
    with full_disk(), pytest.raises(JournalError):
        Journal(tmp_path / "new", {})


@pytest.mark.parametrize("settings", ["[]", "{", "[" * 100_000])
def test_damaged_settings(tmp_path, settings):
    (tmp_path / "settings.json").write_text(settings)
    with pytest.raises(JournalError, match="is damaged; remove it, or give another --out"):
        Journal(tmp_path, {})
