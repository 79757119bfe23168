"""Receipts and plates with other digits and letters: what experts read and what people wrote change alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moai.data.photographs.asking import squeezed
from moai.data.photographs.photograph import Photograph
from moai.data.photographs.relettered import relettered
from perception.scene import Scene, TextLine

COMPANIES = ("ALPHA STORE", "BETA BOOKS SDN BHD", "GAMMA FOODS")


def read(*texts: str) -> Scene:
    return Scene(100, 200, text_lines=[TextLine(one, 0.95, (0.1, 0.1, 0.9, 0.2)) for one in texts])


def receipt(company: str = "ALPHA STORE", date: str = "25/12/2018", total: str = "19.00") -> tuple[Photograph, Scene]:
    asked = ({"question": "What is the total?", "answer": total},)
    fields = {"company": company, "date": date, "total": total}
    photograph = Photograph(Path("a.png"), "receipts", 100, 200, fields=fields, questions=asked)
    return photograph, read("Alpha Store", f"Date: {date} 10:05", "CASH BILL", f"TOTAL RM {total}", "THANK YOU")


@pytest.mark.parametrize("date", ["25/12/2018", "04 JAN 2017", "27 May 2018"])
def test_the_answers_of_a_receipt_still_stand_in_what_was_read(date):
    found = set()
    for seed in range(60):
        given, scene = receipt(date=date)
        photograph, seen = relettered(given, scene, np.random.default_rng(seed), COMPANIES)
        lines = [one.text for one in seen.text_lines]
        fields = photograph.fields
        assert f"Date: {fields['date']} " in lines[1] and lines[3] == f"TOTAL RM {fields['total']}"
        assert squeezed(lines[0]) == squeezed(fields["company"]) and fields["company"] in COMPANIES
        assert lines[2] == "CASH BILL" and lines[4] == "THANK YOU"
        assert len(fields["date"]) == len(date) and len(fields["total"]) == 5
        assert photograph.questions == (given.questions if fields == given.fields else ())
        assert [one.box for one in seen.text_lines] == [one.box for one in scene.text_lines]
        assert given.fields["date"] == date and scene.text_lines[3].text == "TOTAL RM 19.00"
        found.add(tuple(fields.items()))
    assert len(found) > 45


def test_equal_digits_stay_equal_and_different_ones_different():
    for seed in range(30):
        given, scene = receipt(total="1234567890")
        new = relettered(given, scene, np.random.default_rng(seed))[0].fields["total"]
        assert sorted(new) == sorted("1234567890")
        given, scene = receipt(total="77.70")
        new = relettered(given, scene, np.random.default_rng(seed))[0].fields["total"]
        assert new[0] == new[1] == new[3] != new[4]


def test_a_plate_changes_where_it_was_read_and_signs_beside_it_stay():
    plate = Photograph(Path("b.png"), "plates", 100, 50, text_lines=(TextLine("RK457AS", 1.0),))
    found = set()
    for seed in range(60):
        photograph, seen = relettered(plate, read("RK·457AS", "TAXI", "Rk457aS"), np.random.default_rng(seed))
        text, lines = photograph.text_lines[0].text, [one.text for one in seen.text_lines]
        assert [squeezed(lines[0]), lines[1], squeezed(lines[2])] == [squeezed(text), "TAXI", squeezed(text)]
        assert lines[0][2] == "·" and [one.isdigit() for one in text] == [one.isdigit() for one in "RK457AS"]
        found.add(text)
    assert len(found) > 45


def test_what_holds_neither_stays_as_it_is():
    street = Photograph(Path("c.png"), "COCO", 100, 50, captions=("A stop sign",), exhaustive=True)
    plate = replace(street, text_lines=(TextLine("RK457AS", 1.0),))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        scene = read("STOP 12")
        assert relettered(street, scene, rng) == (street, scene)
        assert relettered(plate, None, rng) == (plate, None) and relettered(plate, read(), rng) == (plate, read())
