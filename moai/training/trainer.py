"""transformers' Trainer with MoAI's losses, a learning rate that follows the clock, and sample answers on the way."""

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerCallback, TrainingArguments

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.training.objective import MoAIObjective
from moai.training.optimizer import Muon, is_matrix
from moai.training.stages import Stage, parameter_groups

RECORD = "training.json"
"""What was run: beside the log, `history` has the command, seed and time of this stage and of those before it."""
TRANSCRIBER = "transcriber.safetensors"
"""The head that is used in training and not afterwards; the next stage goes on with it."""


class Budget:
    """How far training has come, in 0..1: by steps or, with `minutes`, by whichever of the two is further.

    The clock ends `minutes` after this is made, start-up and compilation included, but progress begins with the first
    step, so that the warm-up is not spent on compiling.
    """

    def __init__(self, steps: int, minutes: float | None):
        self.steps = steps
        self.end = None if minutes is None else time.monotonic() + minutes * 60
        self.started: float | None = None

    def progress(self, step: int) -> float:
        """Share of the budget that is used after `step` steps."""
        share = step / self.steps
        if self.end is not None and self.started is not None:
            share = max(share, (time.monotonic() - self.started) / max(self.end - self.started, 1e-6))
        return min(share, 1.0)


def learning_rate_factor(progress: float, stage: Stage) -> float:
    """Linear warm-up, then a cosine down to `final_share` (Loshchilov and Hutter 2017); `progress` in 0..1."""
    if progress < stage.warmup:
        return (progress + 1e-3) / (stage.warmup + 1e-3)
    done = (progress - stage.warmup) / (1 - stage.warmup)
    return stage.final_share + (1 - stage.final_share) * 0.5 * (1 + math.cos(math.pi * done))


class Progress(TrainerCallback):
    """Starts the clock at the first step, stops at its end, logs samples/s and the share of time spent waiting for
    data, and prints sample answers."""

    def __init__(self, budget: Budget, rows: int, show: Callable[[int], None] | None, every: int):
        self.budget, self.rows, self.show, self.every = budget, rows, show, every
        self.marked = (0, 0.0)
        self.ended: float | None = None
        self.waited = 0.0

    def on_step_begin(self, args, state, control, **kwargs):
        if self.ended is not None:
            self.waited += time.monotonic() - self.ended

    def on_step_end(self, args, state, control, **kwargs):
        if self.budget.started is None:
            # Compilation happens in the first step and is not counted.
            self.budget.started = time.monotonic()
            self.marked = (state.global_step, self.budget.started)
        if self.budget.progress(state.global_step) >= 1.0:
            control.should_training_stop = True
            control.should_save = True
        if self.show is not None and state.is_world_process_zero and state.global_step % self.every == 0:
            self.show(state.global_step)
        self.ended = time.monotonic()

    def on_log(self, args, state, control, logs=None, **kwargs):
        now = time.monotonic()
        if logs is not None and "loss" in logs and self.budget.started is not None:
            steps = state.global_step - self.marked[0]
            logs["samples_per_second"] = round(steps * self.rows / max(now - self.marked[1], 1e-6))
            logs["seconds"] = round(now - self.budget.started)
            # What the processes that make data leave the device waiting for.
            logs["waiting"] = round(self.waited / max(now - self.marked[1], 1e-6), 3)
            self.waited = 0.0
            self.marked = (state.global_step, now)


class MoAITrainer(Trainer):
    """Trains a `MoAIObjective`; checkpoints hold the model in its own format, ready for `from_pretrained`."""

    def __init__(
        self,
        objective: MoAIObjective,
        processor: MoAIProcessor,
        stage: Stage,
        budget: Budget,
        optimizer_name: str = "muon",
        bf16_on_cpu: bool = False,
        **kwargs,
    ):
        self.stage, self.budget, self.processor = stage, budget, processor
        self.optimizer_name, self.bf16_on_cpu = optimizer_name, bf16_on_cpu
        self.parts: dict[str, torch.Tensor] = {}
        super().__init__(model=objective, **kwargs)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The objective's loss; its parts are kept for the log."""
        torch.compiler.cudagraph_mark_step_begin()
        # accelerate's bf16 is for accelerators.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16_on_cpu):
            outputs = model(**inputs)
        self.parts = {name: value for name, value in outputs.items() if name != "loss"}
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def log(self, logs, *args, **kwargs):
        """The log line with the last step's parts of the loss."""
        if "loss" in logs:
            logs = logs | {name: round(float(value), 4) for name, value in self.parts.items()}
        super().log(logs, *args, **kwargs)

    def create_optimizer(self, model=None):
        """Muon or AdamW; the decoder at its own share of the learning rate."""
        if self.optimizer is None:
            model = self.objective.model
            parts = parameter_groups(model)
            parts["transcriber"] = [
                parameter for name, parameter in self.objective.named_parameters() if name.startswith("transcriber.")
            ]
            embeddings = (model.get_input_embeddings(), model.get_output_embeddings())
            tables = (*(one.weight for one in embeddings), model.compressor.latents)
            groups = []
            for name, parameters in parts.items():
                rate = self.args.learning_rate * (self.stage.decoder_share if name in ("decoder", "plora") else 1.0)
                training = [one for one in parameters if one.requires_grad]
                matrices = [one for one in training if self.optimizer_name == "muon" and is_matrix(one, tables)]
                others = [one for one in training if all(one is not matrix for matrix in matrices)]
                for chosen, orthogonal in ((matrices, True), (others, False)):
                    if chosen:
                        groups.append({"params": chosen, "lr": rate, "orthogonal": orthogonal})
            fused = self.args.device.type == "cuda"
            self.optimizer = Muon(groups, self.args.learning_rate, fused=fused)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        """The stage's schedule over the budget."""
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(
                optimizer or self.optimizer,
                lambda step: learning_rate_factor(self.budget.progress(step), self.stage),
            )
        return self.lr_scheduler

    @property
    def objective(self) -> MoAIObjective:
        """The module under whatever accelerate wrapped around it."""
        return self.accelerator.unwrap_model(self.model)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        save_model(self.objective.model, self.processor, folder)
        save_transcriber(self.objective, folder)
        torch.save(self.args, folder / "training_args.bin")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        saved = MoAIForConditionalGeneration.from_pretrained(resume_from_checkpoint)
        self.objective.model.load_state_dict(saved.state_dict())
        load_transcriber(self.objective, Path(resume_from_checkpoint))


def save_transcriber(objective: MoAIObjective, folder: Path) -> None:
    """The transcriber beside the model, if the stage has one."""
    if objective.transcribe_weight:
        save_file(objective.transcriber.state_dict(), folder / TRANSCRIBER)


def load_transcriber(objective: MoAIObjective, folder: Path) -> None:
    """Go on with the transcriber of an earlier stage, if there is one."""
    if objective.transcribe_weight and (folder / TRANSCRIBER).is_file():
        objective.transcriber.load_state_dict(load_file(folder / TRANSCRIBER))


def weights_of(model: MoAIForConditionalGeneration) -> dict[str, torch.Tensor]:
    """Parameters and normalisation statistics, each once, by name."""
    named = itertools.chain(model.named_parameters(), model.named_buffers())
    return {name: tensor.detach() for name, tensor in named if tensor.is_floating_point()}


def average(model: MoAIForConditionalGeneration, before: dict[str, torch.Tensor], share: float) -> None:
    """Moves the weights back towards those of `before`, by name: `share` of what training changed stays.

    A short training on few rows then keeps what it brought and loses little else (Wortsman et al. 2022, "Robust
    fine-tuning of zero-shot models").
    """
    for name, tensor in weights_of(model).items():
        tensor.lerp_(before[name], 1 - share)


def save_model(model: MoAIForConditionalGeneration, processor: MoAIProcessor, folder: Path, **kwargs) -> None:
    """Model and processor in one folder, as safetensors; `kwargs` go to `save_pretrained`."""
    model.save_pretrained(folder, **kwargs)
    processor.save_pretrained(folder)


def training_arguments(
    stage: Stage, output: Path, rows_per_sample: int, workers: int, seed: int, save_every: int, bf16: bool
) -> TrainingArguments:
    """Trainer settings shared by all stages."""
    return TrainingArguments(
        output_dir=str(output),
        max_steps=stage.steps,
        per_device_train_batch_size=max(stage.rows // rows_per_sample, 1),
        learning_rate=stage.learning_rate,
        max_grad_norm=1.0,
        bf16=bf16,
        logging_steps=50,
        logging_nan_inf_filter=False,  # it would wait for the device at every step
        save_steps=save_every,
        save_total_limit=1,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=False,  # collected with their queues, each of those would be waited for 5 s
        dataloader_prefetch_factor=4 if workers else None,
        remove_unused_columns=False,
        ignore_data_skip=True,  # the source is endless; a resumed run starts at fresh seeds
        seed=seed,
        report_to=[],
        disable_tqdm=True,
    )
