"""Runs an experiment that trains a MoAI model, from its settings to the result in a folder."""

import dataclasses
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import default_collate
from transformers import set_seed

from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes, trimmed
from moai.data.samples import Samples
from moai.models.adapters.folder import is_adapter, load_adapter
from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.models.released import folder_of
from moai.models.stored.reading import read_model
from moai.training.adapters import add_lora
from moai.training.answers import SHOWN, Examination, examination, variants
from moai.training.experiment import ModelExperiment, save_experiment
from moai.training.objective import MoAIObjective
from moai.training.progress import Budget, Watch
from moai.training.results.checkpoints import kept, newest_whole, step_of
from moai.training.sharding import joined, left, place, samples_a_batch, shared, split
from moai.training.sparse.bound import bound
from moai.training.sparse.spread import spread_experts
from moai.training.stages import Stage, freeze_all_but, parameter_groups
from moai.training.tokenizer import build_tokenizer
from moai.training.trainer import (
    RECORD,
    MoAITrainer,
    average,
    load_transcriber,
    restore,
    save_model,
    save_transcriber,
    training_arguments,
    weights_of,
)
from perception.files.whole import write_json
from perception.presets import DEFAULT, preset_experts

Start = tuple[MoAIForConditionalGeneration, MoAIProcessor]
"""A model to train, with its processor."""


def fresh_model(seed: int, image_size: int | None = None) -> Start:
    """An untrained embedded model with its tokenizer; `image_size` is the side of what its own eyes see, in pixels.

    Raises ValueError for a side that is not made of whole patches.
    """
    # The drawn world is needed by those who start from nothing.
    from moai.data.drawn.vocabulary import drawn_vocabulary

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


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> Start:
    """Model (fp32, to be trained, or in another precision) and processor of a folder; of an adapter, with its base."""
    return load_adapter(folder, dtype) if is_adapter(folder) else read_model(folder, dtype)


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


def newest_checkpoint(experiment: ModelExperiment) -> Path | None:
    """The newest whole checkpoint in the output folder when training resumes, else None; ValueError without one."""
    if not experiment.resume:
        return None
    return newest_whole(Path(experiment.output))


def compile_layers(layers: Iterable[nn.Module]) -> None:
    """Compile layers one by one, in place. Those that hold a mixer are compiled each for itself."""
    torch._dynamo.config.cache_size_limit = 64
    for layer in layers:
        layer.compile(dynamic=False)


def compile_step(objective: MoAIObjective, how: str) -> None:
    """Compile the training step: "layers", "decoder", "whole" or "graphs" (see --compile)."""
    model = objective.model
    if how == "layers":
        compile_layers([*model.language_model.layers, model.vision, model.compressor])
    elif how == "decoder":
        compile_layers(model.language_model.layers)
    else:
        # Launching kernels one by one takes longer than running them at this size.
        mode = "reduce-overhead" if how == "graphs" else None
        objective.compile(dynamic=False, fullgraph=True, mode=mode)


def starting_model(experiment: ModelExperiment, name: str, dtype: torch.dtype = torch.float32) -> Start:
    """The model that an experiment starts from; raises ValueError where it is missing or not said."""
    if experiment.init is not None:
        return load_model(init_folder(experiment.init), dtype)
    if experiment.expert_words or experiment.images:
        raise ValueError(f"{name} starts from a trained model; name its folder with --init")
    return fresh_model(experiment.seed, experiment.image_size)


def init_folder(init: str) -> Path:
    """The folder of a model that training starts from, a folder or an id of a hub; ValueError for none."""
    try:
        folder = folder_of(init)
    except ValueError as error:
        raise ValueError(f"there is no model in {init} to start from: {error}") from error
    if not (folder / "config.json").is_file() and not is_adapter(folder):
        raise ValueError(f"there is no model in {init} to start from")
    return folder


def hold(model: MoAIForConditionalGeneration, init: str | None) -> None:
    """Keeps what does not train in bf16; the rest, and normalisation with statistics, in fp32, as `init` has it."""
    batch_norms = {id(one) for part in model.modules() if isinstance(part, _BatchNorm) for one in part.parameters()}
    exact = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad or id(parameter) in batch_norms:
            parameter.data, exact[name] = parameter.data.float(), parameter
        else:
            parameter.data = parameter.data.bfloat16()
    for buffer, tensor in model.named_buffers():
        if tensor.is_floating_point():
            tensor.data, exact[buffer] = tensor.data.float(), tensor
    for file in init_folder(init).glob("*.safetensors") if init is not None else ():
        with safe_open(file, "pt") as weights:
            for name in exact.keys() & set(weights.keys()):
                exact[name].data.copy_(weights.get_tensor(name))


def compute_in_bf16(model: MoAIForConditionalGeneration) -> None:
    """Keeps LoRA from bringing all that it reads to fp32, the precision of its own weights: autocast computes in bf16,
    and the detour takes as long as the products."""
    for module in model.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False


def row_sizes(stage: ModelExperiment) -> tuple[RowSizes, int]:
    """Widths and numbers of rows, those of the stage where it says any; and how many rows a sample has."""
    sizes = RowSizes()
    turn, aux, text = stage.turn_tokens or sizes.turn, stage.aux_tokens or sizes.aux, stage.text_tokens or sizes.text
    questions = stage.questions or (sizes.packed_questions if stage.packed else sizes.questions)
    told = stage.questions or sizes.text_rows
    packed = max(sizes.packed, turn)
    sizes = dataclasses.replace(
        sizes, questions=questions, text_rows=told, turn=turn, packed=packed, aux=aux, text=text
    )
    return sizes, questions if stage.images else 1 if stage.expert_words else told


def check_settings(stage: ModelExperiment) -> None:
    """Raises ValueError with one sentence for what cannot be done here."""
    if stage.tracker != "none" and find_spec(stage.tracker) is None:
        raise ValueError(f"tracker {stage.tracker} is not installed: pip install {stage.tracker}")
    if stage.compile != "none" and place()[1] > 1 and (stage.sharding == "fsdp" or stage.experts_parallel > 1):
        raise ValueError(
            "compile is for a model that each process has all of; leave it out with sharding fsdp and experts_parallel"
        )


def precisions(stage: ModelExperiment, device: torch.device) -> tuple[bool, bool]:
    """Whether it computes in bf16, and holds in it what does not train; ValueError where that does not fit together."""
    autocast = stage.precision == "bf16" or (stage.precision == "auto" and device.type == "cuda")
    held = stage.frozen_precision == "bf16" or (stage.frozen_precision == "auto" and autocast)
    if held and not autocast:
        raise ValueError("what is frozen can be held in bf16 where bf16 is computed in: say precision=bf16, too")
    return autocast, held


def prepare(stage: ModelExperiment, model: MoAIForConditionalGeneration, held: bool) -> None:
    """The model as it starts, with LoRA where it is to have some, all but its trained parts frozen; in place."""
    if stage.lora_rank and not model.config.lora:
        add_lora(model, stage.lora_rank, stage.lora_alpha or 2 * stage.lora_rank, stage.lora_targets)
    unknown = set(stage.trains) - set(parameter_groups(model))
    if unknown:
        raise ValueError(f"cannot unfreeze {sorted(unknown)}; parts are {', '.join(parameter_groups(model))}")
    freeze_all_but(model, stage.trains)
    bound(model, stage)
    if held:
        hold(model, stage.init)
        compute_in_bf16(model)
    model.routing = stage.routing
    if stage.checkpointing:
        model.gradient_checkpointing_enable()


@dataclass
class Training:
    """A training that is ready to begin on this process, `number` of `count`, and what belongs to it; `before` has the
    weights that its first step began with, where some of what it changes is taken back."""

    stage: ModelExperiment
    trainer: MoAITrainer
    source: Samples
    exam: Examination | None
    held: bool
    earlier: Path | None
    number: int
    count: int
    before: dict[str, torch.Tensor] | None

    @property
    def objective(self) -> MoAIObjective:
        """What trains."""
        return self.trainer.objective

    @property
    def preset(self) -> str:
        """The experts that the model names."""
        return self.objective.model.config.experts_from

    @property
    def device(self) -> torch.device:
        """Where this process works."""
        return self.trainer.args.device

    def run(self) -> None:
        """Trains, from the checkpoint on if there is one."""
        self.trainer.go_on(self.earlier)

    def answers(self, step: int) -> None:
        """Shows sample answers."""
        assert self.exam is not None
        with examined(self.objective, self.device, self.held):
            for asked, answer, right in self.exam.sample(
                preset_experts(self.preset) if self.stage.expert_words else None
            ):
                if self.number == 0:
                    print(f"  step {step}: {asked} -> {answer} ({right})", flush=True)

    def marks(self) -> dict[str, dict]:
        """Of the final evaluation, by who spoke."""
        assert self.exam is not None
        with examined(self.objective, self.device, self.held):
            return {who: self.exam.marks(experts) for who, experts in variants(self.stage, self.preset).items()}


def ready(experiment: ModelExperiment, name: str, start: Start | None = None) -> Training:
    """Everything up to the first step; `start` is the model to begin with, by default the experiment's.

    Raises ValueError with one sentence for settings that do not fit together.
    """
    stage = dataclasses.replace(experiment, trains=(*experiment.trains, *experiment.unfreeze))
    output, earlier = Path(stage.output or ""), newest_checkpoint(stage)
    check_settings(stage)
    number, count = place()
    sizes, rows_per_sample = row_sizes(stage)
    batch = samples_a_batch(stage, rows_per_sample, count)
    device = joined()
    budget = Budget(stage.steps, stage.minutes, partial(shared, device=device) if count > 1 else None)
    autocast, held = precisions(stage, device)
    set_seed(stage.seed)
    model, processor = start or starting_model(stage, name, torch.bfloat16 if held else torch.float32)
    prepare(stage, model, held)
    # A resumed run goes on behind what its checkpoint has seen.
    seen = 0 if earlier is None else step_of(earlier) * batch * count * stage.accumulate
    experts = stage.experts or preset_experts(model.config.experts_from)
    source = data_set(stage, processor, sizes, experts, stage.seed, seen, model.config.experts_from)
    source.share(number, count)
    objective = MoAIObjective(model, processor, stage, source.class_names)
    before = {name: tensor.clone() for name, tensor in weights_of(model).items()} if stage.average < 1 else None
    if earlier is not None:
        restore(objective, earlier)
    elif stage.init is not None:
        load_transcriber(objective, Path(stage.init))
    compiled = stage.compile != "none"
    if compiled:
        compile_step(objective, stage.compile)
    if count > 1 and stage.experts_parallel > 1:
        spread_experts(model, stage.experts_parallel, count, device)
    if count > 1 and stage.sharding == "fsdp":
        split(objective, device)
    every = stage.show_every if stage.images else 0
    exam = examination(objective, stage, source, stage.evaluate, SHOWN if every else 0)
    trainer = MoAITrainer(
        objective,
        processor,
        stage,
        budget,
        autocast,
        args=training_arguments(stage, output, batch, number, autocast),
        train_dataset=source,
        data_collator=default_collate if device.type == "cuda" or compiled else trimmed,
    )
    training = Training(stage, trainer, source, exam, held, earlier, number, count, before)
    trainer.add_callback(Watch(budget, stage.rows, training.answers if every and exam else None, every))
    return training


def train_model(experiment: ModelExperiment, name: str, command: str) -> None:
    """Trains a model and saves the result under `experiment.output`; `name` and `command` go into its record.

    Started by torchrun, all of its processes train one model. Raises ValueError as `ready`.
    """
    training = ready(experiment, name)
    stage, trainer, objective, first = training.stage, training.trainer, training.objective, training.number == 0
    model, output = objective.model, Path(trainer.args.output_dir)
    started = time.monotonic()
    training.run()
    seconds = round(time.monotonic() - started)
    model.routing = "gates"
    if training.before is not None:
        average(model, training.before, stage.average)
    with kept("the trained model", output):
        save_model(model, trainer.processor, output, first)
        save_transcriber(objective, output, first)
    if first:
        for told in training.source.reports():
            print(told, flush=True)
        save_experiment(experiment, output)
        machine = torch.cuda.get_device_name() if training.device.type == "cuda" else "CPU"
        run = {
            "stage": name,
            "command": command,
            "steps": trainer.state.global_step,
            "rows": stage.rows,
            "seconds": seconds,
            "seed": stage.seed,
            "device": machine if training.count == 1 else f"{training.count} x {machine}",
        }
        history = [] if stage.init is None else _history(Path(stage.init))
        record = run | {"trains": stage.trains, "history": [*history, run], "log": trainer.state.log_history}
        write_json(output / RECORD, record)
        print(f"saved {output} after {trainer.state.global_step} steps", flush=True)
    if stage.evaluate and training.exam is not None:
        marks = training.marks()
        if first:
            write_json(output / "evaluation.json", marks)
            print(training.exam.table(marks), flush=True)
    left()


@contextmanager
def examined(objective: MoAIObjective, device: torch.device, autocast: bool) -> Iterator[None]:
    """Meanwhile the model answers as it will when it is trained; `autocast` for one of several precisions."""
    model = objective.model
    routing, training, model.routing = model.routing, model.training, "gates"
    objective.eval()
    with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        yield
    objective.train(training)
    model.routing = routing


def _history(folder: Path) -> list[dict]:
    """The stages that made the model in `folder`, as far as it says."""
    path = folder / RECORD
    return json.loads(path.read_text())["history"] if path.is_file() else []
