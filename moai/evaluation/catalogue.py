"""The benchmarks that can be run by name, where their data comes from, and what the paper's authors report on them."""

from dataclasses import dataclass

from moai.evaluation.suites import SUITES


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: `task` of lmms-eval, `data` to download and how it lies in a local folder, the `headline` among
    its scores, and `published` figures of MoAI-7B by headline name. `judged` ones need a language model to score them.
    """

    name: str
    title: str
    task: str
    source: str
    layout: str
    headline: tuple[str, ...]
    published: tuple[float, ...] = ()
    judged: bool = False


BENCHMARKS = {
    one.name: one
    for one in (
        Benchmark(
            "q-bench",
            "Q-Bench (LLVisionQA, dev)",
            "qbench_dev",
            "https://github.com/Q-Future/Q-Bench",
            "llvisionqa_dev.json and images/",
            ("accuracy",),
            (70.2,),
        ),
        Benchmark(
            "scienceqa-img",
            "ScienceQA, test questions with a picture",
            "scienceqa_img",
            "https://github.com/lupantech/ScienceQA",
            "problems.json, pid_splits.json and test/<number>/image.png",
            ("accuracy",),
            (83.5,),
        ),
        Benchmark(
            "textvqa",
            "TextVQA (val)",
            "textvqa_val",
            "https://textvqa.org/dataset",
            "TextVQA_0.5.1_val.json and train_images/",
            ("accuracy",),
            (67.8,),
        ),
        Benchmark(
            "pope",
            "POPE (COCO: random, popular, adversarial)",
            "pope",
            "https://github.com/RUCAIBox/POPE and the val2014 pictures of https://cocodataset.org",
            "coco_pope_random.json, coco_pope_popular.json, coco_pope_adversarial.json and val2014/",
            ("accuracy",),
            (87.1,),
        ),
        Benchmark(
            "mme",
            "MME (perception and cognition)",
            "mme",
            "https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation",
            "one folder for each of the 14 sub-tasks, pictures and question files as released",
            ("perception", "cognition"),
            (1714.0, 561.0),
        ),
        Benchmark(
            "mmbench",
            "MMBench (English, dev)",
            "mmbench_en_dev",
            "https://github.com/open-compass/MMBench",
            "mmbench_dev_en_20231003.tsv or MMBench_DEV_EN.tsv",
            ("accuracy",),
            (79.3,),
        ),
        Benchmark(
            "mmbench-cn",
            "MMBench-CN (Chinese, dev)",
            "mmbench_cn_dev",
            "https://github.com/open-compass/MMBench",
            "mmbench_dev_cn_20231003.tsv or MMBench_DEV_CN.tsv",
            ("accuracy",),
            (76.5,),
        ),
        Benchmark(
            "mm-vet",
            "MM-Vet",
            "mmvet",
            "https://github.com/yuweihao/MM-Vet/releases",
            "mm-vet.json and images/",
            ("score",),
            (43.7,),
            judged=True,
        ),
        Benchmark(
            "ai2d",
            "AI2D (test)",
            "ai2d",
            "https://allenai.org/data/diagrams and its list of test pictures, ai2d_test_ids.csv",
            "questions/, images/ and ai2d_test_ids.csv",
            ("accuracy",),
        ),
        Benchmark(
            "seed-img",
            "SEED-Bench, questions about pictures",
            "seedbench",
            "https://github.com/AILab-CVC/SEED-Bench",
            "SEED-Bench.json and SEED-Bench-image/",
            ("accuracy",),
        ),
        Benchmark(
            "mathvista",
            "MathVista (testmini)",
            "mathvista_testmini_format",
            "https://github.com/lupantech/MathVista",
            "testmini.json and images/",
            ("accuracy",),
            judged=True,
        ),
        Benchmark(
            "hallusionbench",
            "HallusionBench, questions with a picture",
            "hallusion_bench_image",
            "https://github.com/tianyi-lab/HallusionBench",
            "HallusionBench.json and hallusion_bench/",
            ("aAcc", "fAcc", "qAcc"),
        ),
    )
}
PUBLISHED_SOURCE = "published by its authors, not measured here"


def known_names() -> list[str]:
    """Every name that `run` takes."""
    return [*SUITES, *BENCHMARKS]


def check_names(names: list[str]) -> None:
    """Raises ValueError, with one sentence, for a name that is not known."""
    for name in names:
        if name not in known_names():
            raise ValueError(f"there is no benchmark {name!r}; known are {', '.join(known_names())}")


def what_to_download(benchmark: Benchmark, folder: str = "FOLDER") -> str:
    """One sentence: what to fetch, where it has to lie, and how to say so."""
    return (
        f"{benchmark.title} is not here: download it from {benchmark.source}, put {benchmark.layout} into {folder}, "
        f"and give --data {folder}"
    )
