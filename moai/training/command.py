"""The command line of train.py."""

import argparse
import dataclasses
import json
import shlex
import sys
import time
from pathlib import Path

import torch
from torch.utils.data import default_collate
from transformers import AutoProcessor, set_seed
from transformers.trainer_utils import get_last_checkpoint

from moai.data.drawn.vocabulary import drawn_vocabulary
from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes, trimmed
from moai.data.samples import Samples
from moai.data.splits import HeldOutError
from moai.evaluation.drawn.by_kind import answer_examples, print_table, simulated_examples, tabulate
from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.training.objective import MoAIObjective
from moai.training.stages import STAGES, Stage, freeze_all_but, parameter_groups
from moai.training.tokenizer import build_tokenizer
from moai.training.trainer import (
    OPTIMIZERS,
    RECORD,
    Budget,
    MoAITrainer,
    Progress,
    average,
    load_transcriber,
    save_model,
    save_transcriber,
    training_arguments,
    weights_of,
)
from perception.registry import expert_names

EXPERT_STAGES = ("detector", "relations")


def parser() -> argparse.ArgumentParser:
    """All options of train.py."""
    top = argparse.ArgumentParser(
        prog="train.py",
        description="Train MoAI on drawn scenes. The stages build on each other: language, backbone, compressor, "
        "bridge, polish, or experts (step 1 of the paper) and gates (step 2). `detector` and `relations` train "
        "perception's embedded experts.",
    )
    top.add_argument("--stage", required=True, choices=[*STAGES, *EXPERT_STAGES])
    top.add_argument("--output", type=Path, required=True, help="folder for checkpoints and the result")
    top.add_argument("--init", type=Path, help="folder of the model to start from (not needed for --stage language)")
    top.add_argument(
        "--minutes", type=float, help="stop after this much time, start-up included; the schedule follows the clock"
    )
    top.add_argument("--steps", type=int, help="stop after this many steps")
    top.add_argument("--rows", type=int, help="rows (questions) a step")
    top.add_argument("--questions", type=int, help="rows that share a scene")
    top.add_argument(
        "--packed",
        action=argparse.BooleanOptionalAction,
        help="all questions about a scene in one row: several times faster, not quite what answering does",
    )
    top.add_argument("--experts", type=_experts, default=expert_names(), help="experts whose words are given")
    top.add_argument("--learning-rate", type=float)
    top.add_argument(
        "--average",
        type=_share,
        default=1.0,
        help="share, 0 to 1, of what training changed that is kept: the result lies between --init and where training "
        "ended (default: %(default)s)",
    )
    top.add_argument(
        "--optimizer", choices=OPTIMIZERS, default=OPTIMIZERS[0], help="for matrices (default: %(default)s)"
    )
    top.add_argument("--unfreeze", default="", help="further parts to train, for example decoder,plora")
    top.add_argument("--difficulty", type=float, help="of the drawn scenes, 0 (plain) to 1 (default: mixed)")
    top.add_argument(
        "--image-size",
        "--picture-size",
        type=int,
        help="side of the picture in pixels, of a model that starts from nothing",
    )
    top.add_argument("--seed", type=int, default=0, help="of the weights; also the first scene's seed")
    top.add_argument("--workers", type=int, default=0, help="processes that draw scenes")
    top.add_argument("--save-every", type=int, default=1000, help="steps between checkpoints")
    top.add_argument("--show-every", type=int, default=500, help="steps between sample answers (0: none)")
    top.add_argument("--evaluate", type=int, default=0, help="held-out questions to answer at the end")
    top.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --output")
    top.add_argument(
        "--compile",
        nargs="?",
        const="layers",
        default="none",
        choices=("none", "layers", "whole", "graphs"),
        help="torch.compile the layers one by one (quick to start), the whole step, or the whole step as CUDA graphs "
        "(fastest once it runs) (default: %(default)s)",
    )
    top.add_argument(
        "--precision", choices=("auto", "bf16", "float32"), default="auto", help="auto: bf16 on a GPU, else float32"
    )
    return top


def _experts(names: str) -> tuple[str, ...]:
    try:
        return expert_names(names)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"the share must be within 0 to 1, got {text}")
    return share


def fresh_model(seed: int, image_size: int | None = None) -> tuple[MoAIForConditionalGeneration, MoAIProcessor]:
    """An untrained embedded model with its tokenizer; `image_size` is the side of what its own eyes see, in pixels.

    Raises ValueError for a side that is not made of whole patches.
    """
    set_seed(seed)
    tokenizer = build_tokenizer(drawn_vocabulary())
    # A multiple of 64 keeps the head's matrix product on the fast path.
    vocabulary = -(-len(tokenizer) // 64) * 64
    config = MoAIConfig.moai_nano(vocabulary, tokenizer.convert_tokens_to_ids("<image>"))
    vision = config.vision_config
    if image_size is not None:
        vision.image_size = image_size
    if vision.image_size % vision.patch_size:
        raise ValueError(f"the picture's side must be a multiple of {vision.patch_size} pixels, got {image_size}")
    processor = MoAIProcessor(tokenizer, vision.image_size, config.num_image_tokens)
    return MoAIForConditionalGeneration(config), processor


def load_model(folder: Path) -> tuple[MoAIForConditionalGeneration, MoAIProcessor]:
    """Model (fp32, to be trained) and processor of a folder."""
    model = MoAIForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model, AutoProcessor.from_pretrained(folder)


def chosen_stage(arguments: argparse.Namespace) -> Stage:
    """The stage's defaults with what the command line says."""
    stage = STAGES[arguments.stage]
    changes = {name: getattr(arguments, name) for name in ("rows", "steps", "learning_rate", "packed")}
    changes = {name: value for name, value in changes.items() if value is not None}
    if arguments.unfreeze:
        changes["trains"] = (*stage.trains, *arguments.unfreeze.split(","))
    if arguments.minutes is not None and arguments.steps is None:
        changes["steps"] = 10**6  # the clock decides
    return dataclasses.replace(stage, **changes)


def data_set(
    stage: Stage,
    processor: MoAIProcessor,
    sizes: RowSizes,
    seed: int,
    difficulty: float | None,
    experts: tuple[str, ...],
    position: int = 0,
) -> Samples:
    """The stage's endless data set."""
    rows = rows_for(
        processor,
        pictures=stage.pictures,
        experts=experts if stage.experts else (),
        sizes=sizes,
        windows=stage.windows,
        packed=stage.packed,
    )
    drawn = {"name": "drawn", "difficulty": difficulty, "readings": stage.readings, "unfamiliar": stage.unfamiliar}
    samples = build([drawn], rows, seed, position)
    samples.sample(position)  # fills the caches that the worker processes inherit
    return samples


def steps_done(arguments: argparse.Namespace) -> int:
    """Steps of the newest checkpoint in `--output` with `--resume`, else 0."""
    if not arguments.resume:
        return 0
    newest = get_last_checkpoint(arguments.output) if arguments.output.is_dir() else None
    if newest is None:
        raise SystemExit(f"train.py: there is no checkpoint in {arguments.output} to resume from")
    return int(newest.rsplit("-", 1)[1])


def compile_step(objective: MoAIObjective, how: str) -> None:
    """Compile the training step: "layers", "whole" or "graphs" (see --compile)."""
    if how == "layers":
        torch._dynamo.config.cache_size_limit = 64
        model = objective.model
        for part in (*model.language_model.layers, model.vision, model.compressor):
            part.compile(dynamic=False)
    else:
        # Launching kernels one by one takes longer than running them at this size.
        mode = "reduce-overhead" if how == "graphs" else None
        objective.compile(dynamic=False, fullgraph=True, mode=mode)


def train_stage(arguments: argparse.Namespace) -> None:
    """Run one stage of the model and save the result under `--output`."""
    stage = chosen_stage(arguments)
    budget = Budget(stage.steps, arguments.minutes)
    set_seed(arguments.seed)
    if arguments.init is not None:
        if arguments.image_size is not None:
            raise SystemExit("train.py: --image-size is for a model that starts from nothing; leave it out with --init")
        model, processor = load_model(arguments.init)
    elif arguments.stage == "language":
        try:
            model, processor = fresh_model(arguments.seed, arguments.image_size)
        except ValueError as error:
            raise SystemExit(f"train.py: {error}") from error
    else:
        raise SystemExit(
            f"train.py: --stage {arguments.stage} starts from a trained model; name its folder with --init"
        )
    unknown = set(stage.trains) - set(parameter_groups(model))
    if unknown:
        raise SystemExit(f"train.py: cannot unfreeze {sorted(unknown)}; parts are {', '.join(parameter_groups(model))}")
    freeze_all_but(model, stage.trains)
    model.routing = stage.routing
    sizes = RowSizes()
    questions = arguments.questions or (sizes.packed_questions if stage.packed else sizes.questions)
    sizes = dataclasses.replace(sizes, questions=questions)
    rows_per_sample = sizes.questions if stage.pictures else 1 if stage.experts else sizes.text_rows
    # A resumed run goes on behind what its checkpoint has seen.
    position = steps_done(arguments) * max(stage.rows // rows_per_sample, 1)
    try:
        source = data_set(stage, processor, sizes, arguments.seed, arguments.difficulty, arguments.experts, position)
    except ValueError as error:
        raise SystemExit(f"train.py: {error}") from error
    objective = MoAIObjective(model, processor, stage, source.class_names)
    if arguments.init is not None:
        load_transcriber(objective, arguments.init)
    compiled = arguments.compile != "none"
    if compiled:
        compile_step(objective, arguments.compile)
    examples = list(simulated_examples(max(arguments.evaluate, 6)))

    def show(step: int) -> None:
        routing, training = model.routing, model.training
        model.routing = "gates"
        model.eval()
        shown = examples[:6]
        answers = answer_examples(model, processor, shown, expert_names() if stage.experts else None)
        for example, answer in zip(shown, answers, strict=True):
            print(f"  step {step}: {example.question.question} -> {answer} ({example.question.answer})", flush=True)
        objective.train(training)
        model.routing = routing

    every = arguments.show_every if stage.pictures else 0
    on_gpu = torch.cuda.is_available()
    trainer = MoAITrainer(
        objective,
        processor,
        stage,
        budget,
        optimizer_name=arguments.optimizer,
        args=training_arguments(
            stage,
            arguments.output,
            rows_per_sample,
            arguments.workers,
            arguments.seed,
            arguments.save_every,
            bf16=on_gpu and arguments.precision != "float32",
        ),
        bf16_on_cpu=not on_gpu and arguments.precision == "bf16",
        train_dataset=source,
        data_collator=default_collate if on_gpu or compiled else trimmed,
        callbacks=[Progress(budget, stage.rows, show if every else None, every)],
    )
    before = {name: tensor.clone() for name, tensor in weights_of(model).items()} if arguments.average < 1 else None
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=arguments.resume)
    if not trainer.is_world_process_zero():
        return
    model.routing = "gates"
    if before is not None:
        average(model, before, arguments.average)
    save_model(model, processor, arguments.output)
    save_transcriber(objective, arguments.output)
    run = {
        "stage": arguments.stage,
        "command": arguments.command,
        "steps": trainer.state.global_step,
        "rows": stage.rows,
        "seconds": round(time.monotonic() - started),
        "seed": arguments.seed,
        "device": torch.cuda.get_device_name() if on_gpu else "CPU",
    }
    earlier = [] if arguments.init is None else _history(arguments.init)
    record = run | {"trains": stage.trains, "history": [*earlier, run], "log": trainer.state.log_history}
    (arguments.output / RECORD).write_text(json.dumps(record, indent=1))
    print(f"saved {arguments.output} after {trainer.state.global_step} steps", flush=True)
    if arguments.evaluate and stage.pictures:
        model.eval()
        variants = {"all experts": expert_names(), "aux emptied": ()} if stage.experts else {"backbone alone": None}
        tables, asked = {}, examples[: arguments.evaluate]
        for name, experts in variants.items():
            tables[name] = tabulate(asked, answer_examples(model, processor, asked, experts))
        (arguments.output / "evaluation.json").write_text(json.dumps(tables, indent=1))
        print(print_table(tables), flush=True)


def _history(folder: Path) -> list[dict]:
    """The stages that made the model in `folder`, as far as it says."""
    path = folder / RECORD
    return json.loads(path.read_text())["history"] if path.is_file() else []


def main(argv: list[str] | None = None) -> int:
    """Entry point; 0 when the stage has been trained."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_args(argv)
    arguments.command = shlex.join(["python", "train.py", *argv])
    if arguments.stage in EXPERT_STAGES:
        from moai.training.experts.stages import train_expert_stage

        try:
            train_expert_stage(arguments)
        except HeldOutError as error:
            raise SystemExit(f"train.py: {error}") from error
    else:
        train_stage(arguments)
    return 0
