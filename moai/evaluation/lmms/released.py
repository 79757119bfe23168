"""Local folders in each benchmark's own released format, read into the documents that lmms-eval's tasks expect.

Every reader takes a folder and returns one dict a question; pictures are paths, or file contents, under `image` (where
the task expects another name or a list, under that). What is absent raises MissingData with its name.
"""

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw

from moai.evaluation.metrics.mme import COGNITION, PERCEPTION
from moai.evaluation.metrics.multiple_choice import LETTERS
from perception.files.whole import lines_of

_MAX_FIELD_LENGTH = 2**30


class MissingData(FileNotFoundError):
    """A file or folder that the released format has and this folder lacks."""


def _find(folder: Path, *names: str) -> Path:
    """The first of these that exists."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise MissingData(names[0])


def _json(folder: Path, *names: str):
    return json.loads(_find(folder, *names).read_text(encoding="utf-8"))


def _qbench(folder: Path) -> list[dict]:
    rows = []
    for number, one in enumerate(_json(folder, "llvisionqa_dev.json")):
        candidates = one["candidates"]
        options = {f"option{place}": text for place, text in enumerate([*candidates, *["N/A"] * 4][:4])}
        rows.append(
            {
                "id": str(number),
                "image": str(_find(folder, f"images/{one['img_path']}", f"images_llvisionqa/{one['img_path']}")),
                "question": one["question"],
                "question_type": one["type"],
                "question_concern": one["concern"],
                "correct_choice": LETTERS[candidates.index(one["correct_ans"])],
            }
            | options
        )
    return rows


def _scienceqa(folder: Path) -> list[dict]:
    problems = _json(folder, "problems.json")
    tests = _json(folder, "pid_splits.json")["test"]
    return [
        {
            "image": str(_find(folder, f"test/{pid}/image.png", f"images/test/{pid}/image.png")),
            **{name: problems[pid][name] for name in ("question", "choices", "answer", "hint")},
        }
        for pid in tests
        if problems[pid]["image"]
    ]


def _textvqa(folder: Path) -> list[dict]:
    return [
        {
            "image": str(_find(folder, f"train_images/{one['image_id']}.jpg")),
            **{name: one[name] for name in ("question", "question_id", "image_id", "answers")},
        }
        for one in _json(folder, "TextVQA_0.5.1_val.json")["data"]
    ]


def _pope(folder: Path) -> list[dict]:
    rows = []
    for category in ("random", "popular", "adversarial"):
        for line in lines_of(_find(folder, f"coco_pope_{category}.json").read_text(encoding="utf-8")):
            one = json.loads(line)
            rows.append(
                {
                    "id": f"{category}/{one['question_id']}",
                    "question_id": str(one["question_id"]),
                    "image": str(_find(folder, f"val2014/{one['image']}")),
                    "question": one["text"],
                    "answer": one["label"],
                    "category": category,
                }
            )
    return rows


def _mme(folder: Path) -> list[dict]:
    rows = []
    for category in (*PERCEPTION, *COGNITION):
        part = _find(folder, category)
        texts = sorted(part.glob("questions_answers_YN/*.txt")) or sorted(part.glob("*.txt"))
        if not texts:
            raise MissingData(f"{category}/*.txt")
        for text in texts:
            names = [f"{place}{text.stem}{ending}" for place in ("images/", "") for ending in (".jpg", ".png")]
            picture = str(_find(part, *names))
            for line in lines_of(text.read_text(encoding="utf-8")):
                if line.strip():
                    question, answer = line.rsplit("\t", 1)
                    row = {"question_id": f"{category}/{text.stem}", "image": picture, "category": category}
                    rows.append(row | {"question": question.strip(), "answer": answer.strip()})
    return rows


def _mmbench(*names: str) -> Callable[[Path], list[dict]]:
    def read(folder: Path) -> list[dict]:
        csv.field_size_limit(_MAX_FIELD_LENGTH)
        with _find(folder, *names).open(encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file, delimiter="\t"))
        encoded = {row["index"]: row["image"] for row in table}
        rows = []
        for row in table:
            # The shifts of a question name the row that holds their picture.
            picture = encoded.get(row["image"], row["image"])
            texts = {name: row.get(name) or "nan" for name in ("hint", "A", "B", "C", "D", "source", "split")}
            rows.append(
                {
                    "index": int(row["index"]),
                    "image": {"bytes": base64.b64decode(picture), "path": None},
                    "question": row["question"],
                    "answer": row["answer"],
                    "category": row["category"],
                    "L2-category": row.get("l2-category") or "nan",
                }
                | texts
            )
        return rows

    return read


def _mmvet(folder: Path) -> list[dict]:
    return [
        {
            "question_id": key,
            "image": str(_find(folder, f"images/{one['imagename']}")),
            "question": one["question"],
            "answer": one["answer"],
            "capability": ",".join(one["capability"]),
        }
        for key, one in _json(folder, "mm-vet.json").items()
    ]


def _ai2d(folder: Path) -> list[dict]:
    tests = {line.strip().strip('"') for line in _find(folder, "ai2d_test_ids.csv").read_text().splitlines()}
    rows = []
    for path in sorted(_find(folder, "questions").glob("*.json")):
        if path.name.split(".")[0] not in tests:
            continue
        picture = _find(folder, f"images/{path.name.removesuffix('.json')}")
        for question, one in json.loads(path.read_text(encoding="utf-8"))["questions"].items():
            image = {"bytes": None, "path": str(picture)}
            if one.get("abcLabel"):
                image = {"bytes": _lettered(picture, _find(folder, f"annotations/{path.name}")), "path": None}
            options, right = one["answerTexts"], str(one["correctAnswer"])
            rows.append({"image": image, "question": question, "options": options, "answer": right})
    return rows


def _lettered(picture: Path, annotation: Path) -> bytes:
    """The diagram with its labels covered by the letters that the questions ask about, as a PNG file."""
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    draw = ImageDraw.Draw(image)
    for one in json.loads(annotation.read_text(encoding="utf-8")).get("text", {}).values():
        (x1, y1), (x2, y2) = one["rectangle"]
        draw.rectangle((x1, y1, x2, y2), fill="white")
        size = max(8, min(y2 - y1, 40))
        draw.text(((x1 + x2) / 2, (y1 + y2) / 2), one["replacementText"], "black", anchor="mm", font_size=size)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _seed(folder: Path) -> list[dict]:
    names = ("question", "answer", "choice_a", "choice_b", "choice_c", "choice_d", "data_type", "question_type_id")
    return [
        {"question_id": str(one["question_id"]), "image": [str(_find(folder, f"SEED-Bench-image/{one['data_id']}"))]}
        | {name: one[name] for name in names}
        for one in _json(folder, "SEED-Bench.json")["questions"]
        if one["data_type"] == "image"
    ]


def _mathvista(folder: Path) -> list[dict]:
    names = ("question", "choices", "unit", "precision", "answer", "question_type", "answer_type", "metadata")
    return [
        {"pid": pid, "decoded_image": str(_find(folder, one["image"])), "query": one.get("query") or one["question"]}
        | {name: one.get(name) for name in names}
        for pid, one in _json(folder, "testmini.json").items()
    ]


def _hallusion(folder: Path) -> list[dict]:
    names = ("category", "subcategory", "set_id", "figure_id", "question_id", "question", "gt_answer")
    return [
        {"image": str(_find(folder, one["filename"], f"hallusion_bench/{one['filename']}"))}
        | {name: str(one[name]) for name in names}
        | {"gt_answer_details": one.get("gt_answer_details") or ""}
        for one in _json(folder, "HallusionBench.json")
        if one.get("filename")
    ]


READERS: dict[str, Callable[[Path], list[dict]]] = {
    "q-bench": _qbench,
    "scienceqa-img": _scienceqa,
    "textvqa": _textvqa,
    "pope": _pope,
    "mme": _mme,
    "mmbench": _mmbench("mmbench_dev_en_20231003.tsv", "MMBench_DEV_EN.tsv", "mmbench_dev_20230712.tsv"),
    "mmbench-cn": _mmbench("mmbench_dev_cn_20231003.tsv", "MMBench_DEV_CN.tsv"),
    "mm-vet": _mmvet,
    "ai2d": _ai2d,
    "seed-img": _seed,
    "mathvista": _mathvista,
    "hallusionbench": _hallusion,
}
PICTURE_COLUMN = {"mathvista": "decoded_image"}
"""Where pictures are, if not under `image`."""
