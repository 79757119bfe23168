"""transformers' Trainer with MoAI's losses, a learning rate that follows the clock, and models split over processes."""

import functools
import itertools
import shutil
from pathlib import Path

import torch
from accelerate.data_loader import prepare_data_loader
from safetensors.torch import load_file, save_file
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerState, TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.training.experiment import ModelExperiment
from moai.training.objective import MoAIObjective, totals_of
from moai.training.optimizer import Muon, is_matrix
from moai.training.progress import Budget, learning_rate_factor
from moai.training.results.checkpoints import UNFINISHED, NotKept, finish, kept, step_of
from moai.training.sharding import gathered, gathered_state, is_split, like, on_cpu, spread_state, whole
from moai.training.sparse.spread import clipped, copied, is_spread, stacks
from moai.training.stages import parameter_groups

RECORD = "training.json"
"""What was run: beside the log, `history` has the command, seed and time of this stage and of those before it."""
TRANSCRIBER = "transcriber.safetensors"
"""The head that is used in training and not afterwards; the next stage goes on with it."""
TRAINED = "trained.safetensors"
"""Of a model that is mostly frozen, all that its checkpoints hold: what trains."""


class MoAITrainer(Trainer):
    """Trains a `MoAIObjective`, on one process or on several, of which each has all of it or a part (`split`).

    A checkpoint can be gone on from with another number of processes: it holds whole tensors, the model in its own
    format, ready for `from_pretrained`, or of a model that is mostly frozen what trains.
    """

    def __init__(
        self,
        objective: MoAIObjective,
        processor: MoAIProcessor,
        stage: ModelExperiment,
        budget: Budget,
        autocast: bool = False,
        **kwargs,
    ):
        self.stage, self.budget, self.processor, self.autocast = stage, budget, processor, autocast
        self.parts: dict[str, torch.Tensor] = {}
        self.totals: dict[str, torch.Tensor] | None = None
        super().__init__(model=objective, **kwargs)
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = True  # what a step's batches are divided by comes from `totals`

    def create_accelerator_and_postprocess(self) -> None:
        """As Trainer does; a model that is split already is not wrapped once more."""
        super().create_accelerator_and_postprocess()
        prepare = functools.partial(self.accelerator.prepare_model, evaluation_mode=True)
        if is_split(self.model):
            self.accelerator.prepare_model = prepare  # type: ignore[method-assign]
        elif is_spread(self.model):
            # accelerate takes a model for wholly split as soon as some of its parameters are.
            self.accelerator.prepare_model = lambda model, **kwargs: copied(prepare(model, **kwargs))

    def go_on(self, earlier: Path | None) -> None:
        """Trains, from a checkpoint on if there is one. Behind the last step there is nothing left to do, as when a
        training was killed before its model was written; Trainer would take a step more."""
        if earlier is not None and step_of(earlier) >= self.args.max_steps:
            self.state = TrainerState.load_from_json(str(earlier / TRAINER_STATE_NAME))
            return
        self.train(resume_from_checkpoint=None if earlier is None else str(earlier))

    def get_train_dataloader(self) -> DataLoader:
        """Each process reads positions of its own, so nothing is sent from one to the other."""
        loader = DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_size=self.args.per_device_train_batch_size,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            prefetch_factor=self.args.dataloader_prefetch_factor,
            pin_memory=self.args.device.type == "cuda",
            persistent_workers=False,  # collected with their queues, each of those would be waited for 5 s
        )
        return prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True, dispatch_batches=False
        )

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device):
        # One batch on one process knows its own.
        if self.args.world_size == 1 and len(batch_samples) <= 1:
            return None
        each = [totals_of(batch) for batch in batch_samples]
        summed = torch.stack([sum(one[name] for one in each) for name in each[0]]).to(device)  # type: ignore[arg-type]
        # A mean over processes is taken of gradients, which are to be a sum.
        summed = self.accelerator.reduce(summed, "sum").clamp(min=1.0) / self.args.world_size
        return dict(zip(each[0], summed.unbind(), strict=True))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The objective's loss; its parts are kept for the log."""
        torch.compiler.cudagraph_mark_step_begin()
        # accelerate's bf16 is for accelerators.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast and self.args.device.type == "cpu"):
            outputs = model(totals=num_items_in_batch, **inputs)
        parts = {name: value for name, value in outputs.items() if name != "loss"}
        if num_items_in_batch is not None and num_items_in_batch is self.totals:
            parts = {name: value + self.parts[name] for name, value in parts.items()}
        self.parts, self.totals = parts, num_items_in_batch
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def _clip_grad_norm(self, model):
        if is_spread(model):
            return clipped(model.parameters(), self.args.max_grad_norm)
        return whole(super()._clip_grad_norm(model))

    def log(self, logs, *args, **kwargs):
        """The log line with the last step's parts of the loss."""
        if "loss" in logs:
            logs = logs | {name: round(float(value), 4) for name, value in self.parts.items()}
        super().log(logs, *args, **kwargs)

    def create_optimizer(self, model=None):
        """Muon or AdamW; the decoder and its branches at their own share of the learning rate."""
        if self.optimizer is None:
            model = self.objective.model
            parts = parameter_groups(model)
            parts["transcriber"] = [
                parameter for name, parameter in self.objective.named_parameters() if name.startswith("transcriber.")
            ]
            embeddings = (model.get_input_embeddings(), model.get_output_embeddings())
            tables = (*(one.weight for one in embeddings), model.compressor.latents)
            stacked = {id(one) for one in stacks(model).values()}
            groups = []
            for name, parameters in parts.items():
                rate = self.args.learning_rate * (
                    self.stage.decoder_share if name in ("decoder", "plora", "lora") else 1.0
                )
                training = [one for one in parameters if one.requires_grad]
                matrices = [one for one in training if self.stage.optimizer == "muon" and is_matrix(one, tables)]
                others = [one for one in training if all(one is not matrix for matrix in matrices)]
                # Groups of their own, as those of several processes cannot be worked on together with others.
                experts, others = ([one for one in others if (id(one) in stacked) == with_them] for with_them in (1, 0))
                for chosen, orthogonal in ((matrices, True), (others, False), (experts, False)):
                    if chosen:
                        groups.append({"params": chosen, "lr": rate, "orthogonal": orthogonal})
            fused = self.args.device.type == "cuda"
            decay = self.stage.weight_decay
            self.optimizer = Muon(groups, self.args.learning_rate, fused=fused, weight_decay=decay)
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

    def _save_checkpoint(self, model, trial) -> None:
        """As Trainer does, but in one step: a kill, or a full disk, leaves what was kept before as it is."""
        output = Path(self.args.output_dir)
        if self.args.should_save:
            shutil.rmtree(output / UNFINISHED, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.args.output_dir = str(output / UNFINISHED)
        try:
            with kept(f"the checkpoint of step {self.state.global_step}", output):
                super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    finish(output, f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
        except NotKept:
            shutil.rmtree(output / UNFINISHED, ignore_errors=True)
            raise
        finally:
            self.args.output_dir = str(output)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """A checkpoint's weights; all processes have to ask."""
        folder, objective, keep = Path(output_dir or self.args.output_dir), self.objective, self.args.should_save
        if keep:
            folder.mkdir(parents=True, exist_ok=True)
        if mostly_frozen(objective.model):
            trained = gathered(objective.model, trained_tensors(objective.model), keep)
            if keep:
                save_file(trained, folder / TRAINED)
        else:
            save_model(objective.model, self.processor, folder, keep)
        save_transcriber(objective, folder, keep)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = gathered_state(self.optimizer.state_dict())
        if self.args.should_save:
            torch.save(state, Path(output_dir, OPTIMIZER_NAME))
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir, SCHEDULER_NAME))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load = functools.partial(torch.load, map_location="cpu", weights_only=True)
            self.optimizer.load_state_dict(spread_state(load(Path(checkpoint, OPTIMIZER_NAME)), self.optimizer))
            self.lr_scheduler.load_state_dict(load(Path(checkpoint, SCHEDULER_NAME)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        pass  # `restore` did, before the model was split


def mostly_frozen(model: MoAIForConditionalGeneration) -> bool:
    """Whether less than half of the parameters train."""
    sizes = {grad: 0 for grad in (False, True)}
    for parameter in model.parameters():
        sizes[parameter.requires_grad] += parameter.numel()
    return sizes[True] < sizes[False]


def trained_tensors(model: MoAIForConditionalGeneration) -> dict[str, torch.Tensor]:
    """What training changes, by name: parameters that train, and statistics."""
    state = own_tensors(model)
    return {name: one for name, one in state.items() if one.requires_grad or not isinstance(one, torch.nn.Parameter)}


def own_tensors(model: MoAIForConditionalGeneration) -> dict[str, torch.Tensor]:
    """All that a model is saved as, each tensor once, by the first of its names."""
    first = {id(tensor): name for name, tensor in reversed(model.state_dict(keep_vars=True).items())}
    return {name: one for name, one in model.state_dict(keep_vars=True).items() if first[id(one)] == name}


def restore(objective: MoAIObjective, checkpoint: Path) -> None:
    """Puts a checkpoint's weights into a model that starts as its training did; raises ValueError for none."""
    files = sorted(one for one in checkpoint.glob("*.safetensors") if one.name != TRANSCRIBER)
    if not files:
        raise ValueError(f"there are no weights in {checkpoint}")
    for file in files:
        unknown = objective.model.load_state_dict(load_file(file), strict=False).unexpected_keys
        if unknown:
            raise ValueError(f"{file} is of another model: it has {unknown[0]}")
    load_transcriber(objective, checkpoint)


def save_transcriber(objective: MoAIObjective, folder: Path, keep: bool = True) -> None:
    """The transcriber beside the model, if the stage has one; as `save_model`."""
    if objective.transcribe_weight:
        weights = gathered(objective.transcriber, objective.transcriber.state_dict(), keep)
        if keep:
            save_file(weights, folder / TRANSCRIBER)


def load_transcriber(objective: MoAIObjective, folder: Path) -> None:
    """Go on with the transcriber of an earlier stage, if there is one."""
    if objective.transcribe_weight and (folder / TRANSCRIBER).is_file():
        objective.transcriber.load_state_dict(load_file(folder / TRANSCRIBER))


def weights_of(model: MoAIForConditionalGeneration) -> dict[str, torch.Tensor]:
    """Parameters and normalisation statistics, each once, by name."""
    named = itertools.chain(model.named_parameters(), model.named_buffers())
    return {name: tensor.detach() for name, tensor in named if tensor.is_floating_point()}


def average(model: MoAIForConditionalGeneration, before: dict[str, torch.Tensor], share: float) -> None:
    """Moves the weights back towards those of `before` (whole, by name): `share` of what training changed stays.

    A short training on few rows then keeps what it brought and loses little else (Wortsman et al. 2022, "Robust
    fine-tuning of zero-shot models").
    """
    for name, tensor in weights_of(model).items():
        tensor.lerp_(like(before[name].to(tensor.device).reshape(tensor.shape), tensor), 1 - share)


def save_model(
    model: MoAIForConditionalGeneration, processor: MoAIProcessor, folder: Path, keep: bool = True, **kwargs
) -> None:
    """Model and processor in one folder, as safetensors; `kwargs` go to `save_pretrained`.

    Of several processes all have to ask, and one, told to `keep`, writes."""
    if any(hasattr(one, "full_tensor") for one in model.parameters()):
        kwargs["state_dict"] = gathered(model, own_tensors(model), keep)
    if keep:
        model.save_pretrained(folder, **kwargs)
        processor.save_pretrained(folder)


def training_arguments(
    stage: ModelExperiment, output: Path, samples: int, number: int, autocast: bool
) -> TrainingArguments:
    """Trainer's settings; `samples`: of a batch of one process, `number`: which process this is, `autocast`: whether it
    computes in bf16."""
    arguments = TrainingArguments(
        output_dir=str(output),
        max_steps=stage.steps,
        per_device_train_batch_size=samples,
        gradient_accumulation_steps=stage.accumulate,
        learning_rate=stage.learning_rate,
        max_grad_norm=stage.clip,
        bf16=autocast and torch.cuda.is_available(),
        logging_steps=stage.log_every,
        logging_nan_inf_filter=False,  # it would wait for the device at every step
        save_steps=stage.save_every,
        dataloader_num_workers=stage.workers,
        dataloader_prefetch_factor=4 if stage.workers else None,
        remove_unused_columns=False,
        ignore_data_skip=True,  # the source is endless; a resumed run starts at fresh seeds
        ddp_find_unused_parameters=True,  # a part may rest in a step, and encoders have parts that are never used
        seed=stage.seed + number,  # random routing draws anew on each process
        report_to=[] if stage.tracker == "none" else [stage.tracker],
        run_name=output.name,
        disable_tqdm=True,
        use_cpu=on_cpu(),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # of several in sight, each process takes one
    return arguments
