"""Folders in the released formats of the benchmarks, with two drawn pictures in place of their data."""

import base64
import io
import json
from pathlib import Path

from moai.evaluation.drawn.documents import scene_image, scene_seeds
from moai.evaluation.metrics.mme import COGNITION, PERCEPTION

PICTURES = [scene_image(seed).resize((96, 96)) for seed in scene_seeds(2)]


def picture(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PICTURES[number].save(path)


def write(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def encoded(number: int = 0) -> str:
    file = io.BytesIO()
    PICTURES[number].save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def make_qbench(folder: Path) -> None:
    question = {"question": "Is it sharp?", "candidates": ["No", "Yes"], "correct_ans": "Yes", "type": 0, "concern": 1}
    write(folder / "llvisionqa_dev.json", [question | {"img_path": "1.jpg"}, question | {"img_path": "2.jpg"}])
    for number in (1, 2):
        picture(folder / f"images/{number}.jpg", number - 1)


def make_scienceqa(folder: Path) -> None:
    problem = {"question": "Which?", "choices": ["a", "b", "c"], "answer": 2, "hint": "Look.", "image": "image.png"}
    write(folder / "problems.json", {"3": problem, "4": problem | {"image": None}, "5": problem})
    write(folder / "pid_splits.json", {"train": ["5"], "test": ["3", "4"]})
    picture(folder / "test/3/image.png")


def make_textvqa(folder: Path) -> None:
    question = {"question": "what is it?", "image_id": "x", "question_id": 7, "answers": ["stop"] * 10}
    write(folder / "TextVQA_0.5.1_val.json", {"data": [question]})
    picture(folder / "train_images/x.jpg")


def make_pope(folder: Path) -> None:
    for category in ("random", "popular", "adversarial"):
        rows = [
            {"question_id": n, "image": "p.jpg", "text": "Is there a dog in the image?", "label": label}
            for n, label in enumerate(("yes", "no"))
        ]
        write(folder / f"coco_pope_{category}.json", "\n".join(map(json.dumps, rows)))
    picture(folder / "val2014/p.jpg")


def make_mme(folder: Path) -> None:
    for number, category in enumerate((*PERCEPTION, *COGNITION)):
        # The release has two layouts side by side.
        texts, pictures = ("questions_answers_YN/", "images/") if number % 2 else ("", "")
        write(folder / category / f"{texts}0001.txt", "Is it? Please answer yes or no.\tYes\nIs it not?\tNo\n")
        picture(folder / category / f"{pictures}0001.{'png' if number % 3 else 'jpg'}")


def make_mmbench(name: str):
    def make(folder: Path) -> None:
        head = "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tsource\tl2-category\tcomment\tsplit"
        tail = "source\tperception\t\tdev"
        rows = [
            f"5\tWhich?\t\tcat\tdog\t\t\tB\tobjects\t{encoded()}\t{tail}",
            f"1000005\tWhich?\t\tdog\tcat\t\t\tA\tobjects\t5\t{tail}",
        ]
        write(folder / name, "\n".join([head, *rows]) + "\n")

    return make


def make_mmvet(folder: Path) -> None:
    one = {"imagename": "v1_0.png", "question": "What is x?", "answer": "-1 <AND> -5", "capability": ["ocr", "math"]}
    write(folder / "mm-vet.json", {"v1_0": one})
    picture(folder / "images/v1_0.png")


def make_ai2d(folder: Path) -> None:
    one = {"abcLabel": False, "answerTexts": ["a", "b", "c", "d"], "correctAnswer": 1, "questionId": "0.png-0"}
    questions = {"What is it?": one, "What is A?": one | {"abcLabel": True}}
    write(folder / "questions/0.png.json", {"imageName": "0.png", "questions": questions})
    write(folder / "questions/1.png.json", {"imageName": "1.png", "questions": questions})
    text = {"T0": {"rectangle": [[10, 10], [40, 30]], "replacementText": "A", "value": "ears"}}
    write(folder / "annotations/0.png.json", {"text": text})
    write(folder / "ai2d_test_ids.csv", "0\n")
    picture(folder / "images/0.png")


def make_seed(folder: Path) -> None:
    choices = {f"choice_{letter}": letter for letter in "abcd"}
    one = {"answer": "C", "data_id": "1_2", "question": "Which?", "question_id": 9, "question_type_id": 1} | choices
    write(folder / "SEED-Bench.json", {"questions": [one | {"data_type": "image"}, one | {"data_type": "video"}]})
    picture(folder / "SEED-Bench-image/1_2.png")
    (folder / "SEED-Bench-image/1_2.png").rename(folder / "SEED-Bench-image/1_2")


def make_mathvista(folder: Path) -> None:
    one = {
        "question": "How many?", "image": "images/1.jpg", "choices": None, "unit": None, "precision": 1.0,
        "answer": "1.2", "question_type": "free_form", "answer_type": "float", "metadata": {"task": "counting"},
    }  # fmt: skip
    choice = one | {"choices": ["7", "8"], "answer": "8", "question_type": "multi_choice", "answer_type": "text"}
    write(folder / "testmini.json", {"1": one, "2": choice})
    picture(folder / "images/1.jpg")


def make_hallusion(folder: Path) -> None:
    one = {
        "category": "VD", "subcategory": "figure", "visual_input": "1", "set_id": "0", "figure_id": "1",
        "question_id": "0", "question": "Is it?", "gt_answer": "1", "gt_answer_details": "It is.",
        "filename": "./hallusion_bench/VD/figure/0_1.png",
    }  # fmt: skip
    write(folder / "HallusionBench.json", [one, one | {"filename": None, "category": "VS", "figure_id": "0"}])
    picture(folder / "hallusion_bench/VD/figure/0_1.png")


MAKERS = {
    "q-bench": make_qbench,
    "scienceqa-img": make_scienceqa,
    "textvqa": make_textvqa,
    "pope": make_pope,
    "mme": make_mme,
    "mmbench": make_mmbench("mmbench_dev_en_20231003.tsv"),
    "mmbench-cn": make_mmbench("MMBench_DEV_CN.tsv"),
    "mm-vet": make_mmvet,
    "ai2d": make_ai2d,
    "seed-img": make_seed,
    "mathvista": make_mathvista,
    "hallusionbench": make_hallusion,
}
