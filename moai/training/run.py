"""Runs an experiment that trains a MoAI model, from its settings to the result in a folder."""

import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import default_collate
from transformers import AutoProcessor, set_seed
from transformers.trainer_utils import get_last_checkpoint

from moai.data.drawn.vocabulary import drawn_vocabulary
from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes, trimmed
from moai.data.samples import Samples
from moai.evaluation.drawn.by_kind import answer_examples, print_table, simulated_examples, tabulate
from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.training.experiment import ModelExperiment, save_experiment
from moai.training.objective import MoAIObjective
from moai.training.stages import Stage, freeze_all_but, parameter_groups
from moai.training.tokenizer import build_tokenizer
from moai.training.trainer import (
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
from perception.presets import DEFAULT
from perception.registry import expert_names


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


def data_set(
    stage: Stage,
    processor: MoAIProcessor,
    sizes: RowSizes,
    experts: Sequence[str],
    seed: int = 0,
    position: int = 0,
    experts_from: str = DEFAULT,
) -> Samples:
    """The stage's endless data set, from `position` on; `experts` are those whose words may be given, and
    `experts_from` is the preset that looks at pictures."""
    rows = rows_for(
        processor,
        pictures=stage.images,
        experts=experts if stage.expert_words else (),
        sizes=sizes,
        windows=stage.windows,
        packed=stage.packed,
        experts_from=experts_from,
    )
    samples = build(stage.data, rows, seed, position)
    samples.sample(position)  # fills the caches that the worker processes inherit
    return samples


def steps_done(experiment: ModelExperiment) -> int:
    """Steps of the newest checkpoint in the output folder when training resumes, else 0; ValueError without one."""
    if not experiment.resume:
        return 0
    newest = get_last_checkpoint(experiment.output) if Path(experiment.output).is_dir() else None
    if newest is None:
        raise ValueError(f"there is no checkpoint in {experiment.output} to resume from")
    return int(newest.rsplit("-", 1)[1])


def compile_layers(layers: Iterable[nn.Module]) -> None:
    """Compile layers one by one, in place. Those that hold a mixer are compiled each for itself."""
    torch._dynamo.config.cache_size_limit = 64
    for layer in layers:
        layer.compile(dynamic=False)


def compile_step(objective: MoAIObjective, how: str) -> None:
    """Compile the training step: "layers", "whole" or "graphs" (see --compile)."""
    if how == "layers":
        model = objective.model
        compile_layers([*model.language_model.layers, model.vision, model.compressor])
    else:
        # Launching kernels one by one takes longer than running them at this size.
        mode = "reduce-overhead" if how == "graphs" else None
        objective.compile(dynamic=False, fullgraph=True, mode=mode)


def starting_model(experiment: ModelExperiment, name: str) -> tuple[MoAIForConditionalGeneration, MoAIProcessor]:
    """The model that an experiment starts from; raises ValueError where it is missing or not said."""
    if experiment.init is not None:
        folder = Path(experiment.init)
        if not (folder / "config.json").is_file():
            raise ValueError(f"there is no model in {folder} to start from")
        return load_model(folder)
    if experiment.expert_words or experiment.images:
        raise ValueError(f"{name} starts from a trained model; name its folder with --init")
    return fresh_model(experiment.seed, experiment.image_size)


def train_model(experiment: ModelExperiment, name: str, command: str) -> None:
    """Trains a model and saves the result under `experiment.output`; `name` and `command` go into its record.

    Raises ValueError with one sentence for settings that do not fit together.
    """
    stage = dataclasses.replace(experiment, trains=(*experiment.trains, *experiment.unfreeze))
    output = Path(experiment.output)
    budget = Budget(stage.steps, stage.minutes)
    set_seed(stage.seed)
    model, processor = starting_model(stage, name)
    unknown = set(stage.trains) - set(parameter_groups(model))
    if unknown:
        raise ValueError(f"cannot unfreeze {sorted(unknown)}; parts are {', '.join(parameter_groups(model))}")
    freeze_all_but(model, stage.trains)
    model.routing = stage.routing
    sizes = RowSizes()
    questions = stage.questions or (sizes.packed_questions if stage.packed else sizes.questions)
    sizes = dataclasses.replace(sizes, questions=questions)
    rows_per_sample = sizes.questions if stage.images else 1 if stage.expert_words else sizes.text_rows
    # A resumed run goes on behind what its checkpoint has seen.
    position = steps_done(stage) * max(stage.rows // rows_per_sample, 1)
    experts = stage.experts or expert_names()
    source = data_set(stage, processor, sizes, experts, stage.seed, position, model.config.experts_from)
    objective = MoAIObjective(model, processor, stage, source.class_names)
    if stage.init is not None:
        load_transcriber(objective, Path(stage.init))
    compiled = stage.compile != "none"
    if compiled:
        compile_step(objective, stage.compile)
    examples = list(simulated_examples(max(stage.evaluate, 6)))

    def show(step: int) -> None:
        routing, training = model.routing, model.training
        model.routing = "gates"
        model.eval()
        shown = examples[:6]
        answers = answer_examples(model, processor, shown, expert_names() if stage.expert_words else None)
        for example, answer in zip(shown, answers, strict=True):
            print(f"  step {step}: {example.question.question} -> {answer} ({example.question.answer})", flush=True)
        objective.train(training)
        model.routing = routing

    every = stage.show_every if stage.images else 0
    on_gpu = torch.cuda.is_available()
    trainer = MoAITrainer(
        objective,
        processor,
        stage,
        budget,
        optimizer_name=stage.optimizer,
        args=training_arguments(
            stage,
            output,
            rows_per_sample,
            stage.workers,
            stage.seed,
            stage.save_every,
            bf16=on_gpu and stage.precision != "float32",
        ),
        bf16_on_cpu=not on_gpu and stage.precision == "bf16",
        train_dataset=source,
        data_collator=default_collate if on_gpu or compiled else trimmed,
        callbacks=[Progress(budget, stage.rows, show if every else None, every)],
    )
    before = {name: tensor.clone() for name, tensor in weights_of(model).items()} if stage.average < 1 else None
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=stage.resume)
    if not trainer.is_world_process_zero():
        return
    for told in source.reports():
        print(told, flush=True)
    model.routing = "gates"
    if before is not None:
        average(model, before, stage.average)
    save_model(model, processor, output)
    save_transcriber(objective, output)
    save_experiment(experiment, output)
    run = {
        "stage": name,
        "command": command,
        "steps": trainer.state.global_step,
        "rows": stage.rows,
        "seconds": round(time.monotonic() - started),
        "seed": stage.seed,
        "device": torch.cuda.get_device_name() if on_gpu else "CPU",
    }
    earlier = [] if stage.init is None else _history(Path(stage.init))
    record = run | {"trains": stage.trains, "history": [*earlier, run], "log": trainer.state.log_history}
    (output / RECORD).write_text(json.dumps(record, indent=1))
    print(f"saved {output} after {trainer.state.global_step} steps", flush=True)
    if stage.evaluate and stage.images:
        model.eval()
        variants = (
            {"all experts": expert_names(), "aux emptied": ()} if stage.expert_words else {"backbone alone": None}
        )
        tables, asked = {}, examples[: stage.evaluate]
        for name, experts in variants.items():
            tables[name] = tabulate(asked, answer_examples(model, processor, asked, experts))
        (output / "evaluation.json").write_text(json.dumps(tables, indent=1))
        print(print_table(tables), flush=True)


def _history(folder: Path) -> list[dict]:
    """The stages that made the model in `folder`, as far as it says."""
    path = folder / RECORD
    return json.loads(path.read_text())["history"] if path.is_file() else []
