"""Experiments: what is trained, on what and how, as YAML files that are checked against the settings declared here.

A file names its `kind` and may build on another (`base: bridge`); `key=value` overrides change single settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from moai.training.stages import Stage, setting
from perception.files.whole import write_whole
from perception.registry import expert_names

OPTIMIZERS = ("muon", "adamw")
COMPILE = ("none", "layers", "decoder", "whole", "graphs")
PRECISIONS = ("auto", "bf16", "float32")
SHARDINGS = ("ddp", "fsdp")
TRACKERS = ("none", "tensorboard", "trackio")
RESOLVED = "experiment.yaml"
"""Beside a result: the experiment as it was run, every setting spelled out."""
_ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (_ROOT / "configs", _ROOT.parent / "configs" / "train")
"""Where experiments are looked up by name: in an installed package, and in a checkout."""


@dataclass
class ModelExperiment(Stage):
    """One stage of training a MoAI model: what `Stage` says, and how it is run."""

    kind: str = "model"
    output: str | None = setting(None, "folder for checkpoints and the result")
    init: str | None = setting(None, "folder of the model to start from (language needs none)")
    minutes: float | None = setting(
        None, "stop after this much time, start-up included; the schedule follows the clock", above=0
    )
    questions: int | None = setting(
        None, "rows that share a scene (default: 8, packed 16, of text alone 2); more are made faster", least=1
    )
    experts: tuple[str, ...] | None = setting(None, "experts whose words are given (default: all)")
    unfreeze: tuple[str, ...] = setting((), "further parts to train, for example decoder,plora")
    average: float = setting(
        1.0, "share of what training changed that is kept: the result lies between init and its end", least=0, most=1
    )
    optimizer: str = setting("muon", "for matrices", choices=OPTIMIZERS)
    image_size: int | None = setting(None, "side of the image in pixels, of a model that starts from nothing", least=1)
    seed: int = setting(0, "of the weights; also the first scene's seed", least=0)
    workers: int = setting(0, "processes that draw scenes", least=0)
    save_every: int = setting(1000, "steps between checkpoints", least=1)
    show_every: int = setting(500, "steps between sample answers (0: none)", least=0)
    evaluate: int = setting(0, "held-out questions to answer at the end", least=0)
    resume: bool = setting(False, "go on from the newest checkpoint in the output folder")
    compile: str = setting(
        "none",
        "torch.compile the layers one by one (quick to start) or those of the decoder alone (quicker, for a pretrained "
        "encoder), the whole step, or it as CUDA graphs (fastest)",
        choices=COMPILE,
        alone="layers",
    )
    precision: str = setting("auto", "auto: bf16 on a GPU, else float32", choices=PRECISIONS)
    frozen_precision: str = setting(
        "float32", "in which what does not train is held; auto: that of computing", choices=PRECISIONS
    )
    accumulate: int = setting(1, "parts that a step's rows are worked through in, one after the other", least=1)
    checkpointing: bool = setting(False, "keep little of the forward pass and compute it again: slower, less memory")
    sharding: str = setting(
        "ddp", "of several processes (torchrun), each holds all of the model, or a part (fsdp)", choices=SHARDINGS
    )
    experts_parallel: int = setting(
        1, "of several processes, those that share out a sparse model's routed experts: each holds a part", least=1
    )
    turn_tokens: int | None = setting(None, "longest question with its answer, in tokens (default: 80)", least=1)
    aux_tokens: int | None = setting(None, "of the experts' words, those that are read (default: 288)", least=1)
    text_tokens: int | None = setting(None, "width of a row without an image, in tokens (default: 320)", least=1)
    lora_rank: int = setting(0, "of LoRA in the decoder, for all tokens (0: none)", least=0)
    lora_alpha: float | None = setting(None, "its scale times its rank (default: twice the rank)", above=0)
    lora_targets: tuple[str, ...] | None = setting(None, "names of linears that get it (default: all)")
    log_every: int = setting(50, "steps between lines about how it goes", least=1)
    tracker: str = setting("none", "also tells how it goes to", choices=TRACKERS)


@dataclass
class DetectorExperiment:
    """Training of the embedded detector on drawn pictures."""

    kind: str = "detector"
    output: str | None = setting(None, "folder of the detector")
    init: str | None = setting(None, "folder of a detector to go on from")
    minutes: float = setting(6.3, "time for training", above=0)
    rows: int = setting(256, "pictures a step", least=1)
    learning_rate: float = setting(2e-3, "at its peak", above=0)
    data: str = setting("datasets/detector", "folder of the drawn pictures, which are drawn unless they are there")
    seed: int = setting(0, "of training", least=0)
    workers: int = setting(8, "processes that draw and load", least=1)


@dataclass
class RelationsExperiment:
    """Training of the embedded relation head on drawn scenes."""

    kind: str = "relations"
    output: str | None = setting(None, "folder of the relation head")
    scenes: int = setting(60_000, "scenes to train on", least=1)
    epochs: int = setting(14, "times through them", least=1)
    held_out: int = setting(3_000, "held-out scenes, half of them to calibrate scores", least=2)
    rows: int = setting(128, "scenes a step", least=1)
    learning_rate: float = setting(2e-3, "at its peak", above=0)
    seed: int = setting(0, "of the weights and scenes", least=0)
    workers: int = setting(2, "processes that draw", least=1)


KINDS = {"model": ModelExperiment, "detector": DetectorExperiment, "relations": RelationsExperiment}
Experiment = ModelExperiment | DetectorExperiment | RelationsExperiment


def experiment_names() -> list[str]:
    """The experiments that can be asked for by name."""
    return sorted({path.stem for folder in FOLDERS if folder.is_dir() for path in folder.glob("*.yaml")})


def experiment_file(name: str | Path) -> Path:
    """The YAML file of a name or path; raises ValueError when there is none."""
    places = [Path(name), *(folder / f"{name}.yaml" for folder in FOLDERS)]
    for place in places:
        if place.is_file():
            return place
    raise ValueError(
        f"there is no experiment {str(name)!r}; give a YAML file, or one of {', '.join(experiment_names())}"
    )


def _read(name: str | Path, chain: tuple[Path, ...] = ()) -> dict:
    path = experiment_file(name)
    if path in chain:
        raise ValueError(f"{path} is based on itself")
    try:
        given = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read") from error
    except Exception as error:  # of the YAML parser and of OmegaConf, which share no base
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ValueError(f"{path} must hold settings, one `key: value` a line")
    base = given.pop("base", None)
    return given if base is None else _read(base, (*chain, path)) | given


def kind_of(name: str | Path) -> type[Experiment]:
    """The class of settings that a named experiment or file has; raises ValueError for an unknown kind."""
    kind = _read(name).get("kind", "model")
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r} of experiment; allowed are {', '.join(KINDS)}")
    return KINDS[kind]


def load_experiment(name: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a name or YAML file with `key=value` overrides.

    Raises ValueError with one sentence for a file that is missing or broken, an unknown key, or a value that is of
    the wrong type or out of range.
    """
    settings = kind_of(name)
    schema = OmegaConf.structured(settings)
    for one in overrides:
        if "=" not in one or one.startswith("="):
            raise ValueError(f"{one!r} is no setting; write key=value")
    key = ""
    try:
        merged = OmegaConf.merge(schema, _read(name))
        for one in overrides:
            key = one.split("=")[0]
            given = OmegaConf.from_dotlist([f"value={one.split('=', 1)[1]}"]).value
            OmegaConf.update(merged, key, given, merge=False)
        values = OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)
    except (ConfigAttributeError, ConfigKeyError) as error:
        raise ValueError(
            f"{error.key or key!s} is not a setting of a {settings.kind} experiment; allowed are "
            f"{', '.join(one.name for one in fields(settings) if one.name != 'kind')}"
        ) from error
    except MissingMandatoryValue as error:
        raise ValueError(
            f"{str(error).splitlines()[0].split(': ')[-1].strip()} is not set in {experiment_file(name)}"
        ) from error
    except OmegaConfBaseException as error:
        raise ValueError(f"{error.full_key or key}: {str(error).splitlines()[0]}") from error
    if (
        values.get("minutes") is not None
        and "steps" in values
        and not any(one.startswith("steps=") for one in overrides)
    ):
        values["steps"] = 10**6  # the clock decides
    return checked(settings(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}))


def checked(experiment: Experiment) -> Experiment:
    """The experiment, or ValueError with one sentence for a value out of range."""
    for one in fields(experiment):
        value, rule = getattr(experiment, one.name), one.metadata
        if value is None:
            continue
        if (choices := rule.get("choices")) and value not in choices:
            raise ValueError(f"{one.name} is {value!r}; allowed are {', '.join(choices)}")
        for limit, broken, words in (
            ("least", lambda v, x: v < x, "at least"),
            ("most", lambda v, x: v > x, "at most"),
            ("above", lambda v, x: v <= x, "above"),
        ):
            if limit in rule and broken(value, rule[limit]):
                raise ValueError(f"{one.name} is {value}; it must be {words} {rule[limit]}")
    if isinstance(experiment, ModelExperiment):
        if experiment.experts is not None:
            experiment.experts = expert_names(experiment.experts)
        if experiment.init is not None and experiment.image_size is not None:
            raise ValueError("image_size is for a model that starts from nothing; leave it out with init")
    return experiment


def save_experiment(experiment: Experiment, folder: Path) -> None:
    """Writes every setting into `folder`, as a file that `load_experiment` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / RESOLVED, OmegaConf.to_yaml(OmegaConf.create(_plain(experiment))))


def _plain(experiment: Experiment) -> dict:
    values = {one.name: getattr(experiment, one.name) for one in fields(experiment)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def load_stages() -> dict[str, ModelExperiment]:
    """Every named experiment that trains a model."""
    return {name: load_experiment(name) for name in experiment_names() if kind_of(name) is ModelExperiment}
