"""YOLO networks, through ultralytics. The one module that imports ultralytics, whose licence is AGPL-3.0."""

import json
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from perception.boxes import iou
from perception.expert import ExpertUnavailable
from perception.networks.network import Found, Network, calibrated, chosen, in_groups, reduced_size, sorted_found

WEIGHTS_FILE, ARCHITECTURE_FILE, SETTINGS_FILE = "model.safetensors", "model.yaml", "config.json"
ULTRALYTICS_SUFFIX = ".pt"
DEFAULT_THRESHOLD = 0.25
_SAME_OBJECT = 0.8
_LOADING = threading.Lock()


def import_ultralytics():
    """The ultralytics package, kept from phoning home; raises ExpertUnavailable when it is not installed."""
    # Off before the import: otherwise it looks for the network, and sends analytics when it finds one.
    offline = os.environ.get("YOLO_OFFLINE")
    os.environ["YOLO_OFFLINE"] = "1"
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    try:
        import ultralytics
    except ImportError as error:
        raise ExpertUnavailable("the package ultralytics is not installed; pip install ultralytics") from error
    finally:
        if offline is None:
            del os.environ["YOLO_OFFLINE"]
    return ultralytics


def is_embedded(folder: str | Path) -> bool:
    """Whether `folder` holds a network in our format: weights in safetensors, architecture and settings."""
    return all((Path(folder) / name).is_file() for name in (WEIGHTS_FILE, ARCHITECTURE_FILE, SETTINGS_FILE))


def save_network(network, folder: str | Path, settings: dict) -> None:
    """Writes an ultralytics segmentation or detection network as safetensors (fp16), its yaml and config.json.

    `settings`: `imgsz` (side in pixels that pictures are scaled to), `threshold` (least score reported),
    `score_power` (see `calibrated`), `stuff` (names of classes that are stuff) and whatever else describes the run.
    Class names come from the network.
    """
    import torch
    import yaml
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous().clone()
        for name, value in network.state_dict().items()
    }
    if any(not torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
        raise ValueError("the network holds values that fp16 cannot; nothing was saved")
    save_file(state, folder / WEIGHTS_FILE)
    architecture = {key: value for key, value in network.yaml.items() if key != "yaml_file"}
    architecture["nc"] = len(network.names)
    (folder / ARCHITECTURE_FILE).write_text(yaml.safe_dump(architecture, sort_keys=False, default_flow_style=None))
    record = {**settings, "names": [network.names[index] for index in range(len(network.names))]}
    (folder / SETTINGS_FILE).write_text(json.dumps(record, indent=1) + "\n")


def build_network(folder: str | Path):
    """The network saved in `folder` (fp32, evaluation mode) and its settings."""
    import yaml
    from safetensors.torch import load_file

    import_ultralytics()
    from ultralytics.nn.tasks import DetectionModel, SegmentationModel

    folder = Path(folder)
    settings = json.loads((folder / SETTINGS_FILE).read_text())
    architecture = yaml.safe_load((folder / ARCHITECTURE_FILE).read_text())
    head = str(architecture["head"][-1][2])
    kind = SegmentationModel if head.startswith("Segment") else DetectionModel
    network: Any = kind(architecture, nc=len(settings["names"]), verbose=False)
    state = load_file(folder / WEIGHTS_FILE)
    network.load_state_dict(
        {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    )
    network.names = dict(enumerate(settings["names"]))
    network.args = {"imgsz": settings["imgsz"]}
    network.task = "segment" if kind is SegmentationModel else "detect"
    return network.eval(), settings


class Yolo(Network[Found]):
    """One YOLO network.

    `source`: a folder in our format, or the path or name of ultralytics weights (`yolo11n-seg.pt`; a name is
    downloaded by ultralytics when it is not there). Weights in `.pt` are pickles, which can hold code that runs when
    they are loaded: one that names anything but ultralytics' and torch's own layers is refused, unless `trust_pickle`.
    `imgsz` (side in pixels that pictures are scaled to) and `threshold` (least score reported) default to those of the
    network. Raises ExpertUnavailable when the weights cannot be had.
    """

    def __init__(
        self,
        source: str | Path,
        imgsz: int | None = None,
        device: str | None = None,
        threshold: float | None = None,
        trust_pickle: bool = False,
    ):
        self.trust_pickle = trust_pickle
        self.source = str(source)
        self.imgsz = imgsz
        self.device = device
        self.threshold = threshold
        self.stuff: frozenset[str] = frozenset()
        self._power = 1.0
        super().__init__()

    def _load(self):
        source = Path(self.source)
        if source.suffix != ULTRALYTICS_SUFFIX:
            if not is_embedded(source):
                raise ExpertUnavailable(
                    f"there is no trained detector at {source}; allowed are a folder with {WEIGHTS_FILE}, "
                    f"{ARCHITECTURE_FILE} and {SETTINGS_FILE}, and the path or name of ultralytics weights "
                    f"(*{ULTRALYTICS_SUFFIX})"
                )
            network, settings = build_network(source)
            self.imgsz = self.imgsz or settings["imgsz"]
            if self.threshold is None:
                self.threshold = settings.get("threshold")
            self.stuff = frozenset(settings.get("stuff", ()))
            self._power = settings.get("score_power", 1.0)
            return wrapped(network)
        return self._load_weights(source)

    def _load_weights(self, source: Path):
        ultralytics = import_ultralytics()
        named = source.name == str(source)
        if not source.exists() and not named:
            raise ExpertUnavailable(f"{source} does not exist; give a folder or a file of ultralytics weights")
        try:
            with _pickles(trusted=self.trust_pickle):
                model = ultralytics.YOLO(self.source)
            model.model.eval()
        except ExpertUnavailable:
            raise
        except Exception as error:
            if not self.trust_pickle and zipfile.is_zipfile(source) and "references types" in str(error):
                raise ExpertUnavailable(
                    f"{source} holds more than a network, which would run as code when it is loaded; the option "
                    "trust_pickle: true allows that for a file that you trust; safetensors, as save_network "
                    "writes them, hold no code"
                ) from error
            if not source.exists():
                raise ExpertUnavailable(
                    f"{source} is not on this machine and could not be downloaded; check the name, or fetch the file "
                    "and give its path"
                ) from error
            raise ExpertUnavailable(
                f"{source} could not be read as ultralytics weights; it may be damaged or of another kind"
            ) from error
        if model.task not in ("detect", "segment"):
            raise ExpertUnavailable(f"{source} is a network for {model.task}; one for detect or segment is needed")
        return model

    @property
    def draws_masks(self) -> bool:
        """Whether the network gives masks and not boxes alone."""
        self.load()
        return self._model.task == "segment"

    @property
    def names(self) -> list[str]:
        """Class names by number."""
        self.load()
        return list(self._model.names.values())

    def _run(self, pictures: list[np.ndarray]) -> list[Found]:
        # Ultralytics frames pictures of one shape by a rectangle and others by a square, where it finds other things.
        shapes = [reduced_size(picture) for picture in pictures]
        return in_groups(pictures, shapes, self._pass, together=self._on_cuda())

    def _on_cuda(self) -> bool:
        import torch

        return torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu")).type == "cuda"

    def _pass(self, pictures: list[np.ndarray]) -> list[Found]:
        results = self._model.predict(
            [np.ascontiguousarray(_reduced(picture)[..., ::-1]) for picture in pictures],
            imgsz=self.imgsz or 640,
            # The network's own scores are compared with this, so the calibration is undone.
            conf=(DEFAULT_THRESHOLD if self.threshold is None else self.threshold) ** (1 / self._power),
            iou=0.6,
            batch=len(pictures),
            device=self.device,
            retina_masks=True,
            verbose=False,
            save=False,
        )
        return [self._adapted(picture, result) for picture, result in zip(pictures, results, strict=True)]

    def _adapted(self, picture: np.ndarray, result) -> Found:
        height, width = picture.shape[:2]
        boxes = np.clip(result.boxes.xyxyn.float().cpu().numpy(), 0, 1)
        scores = calibrated(result.boxes.conf.float().cpu().numpy(), self._power)
        labels = [result.names[int(number)] for number in result.boxes.cls.tolist()]
        masks = None
        if self._model.task == "segment":
            small = [] if result.masks is None else result.masks.data.cpu().numpy() > 0.5
            masks = np.zeros((len(small), height, width), bool)
            for mask, one in zip(masks, small, strict=True):
                same = one.shape == (height, width)
                mask[:] = one if same else cv2.resize(one.astype(np.uint8), (width, height), interpolation=0)
        return without_doubles(sorted_found(Found(labels, scores, boxes, masks)), self.stuff)


def _reduced(picture: np.ndarray) -> np.ndarray:
    size = reduced_size(picture)
    return picture if size == picture.shape[:2] else cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)


def without_doubles(found: Found, stuff: frozenset[str] = frozenset()) -> Found:
    """The same without things whose box nearly equals that of a surer thing of another class."""
    things = [index for index, label in enumerate(found.labels) if label not in stuff]
    doubled = iou(found.boxes[things], found.boxes[things]) > _SAME_OBJECT if things else np.zeros((0, 0), bool)
    kept: list[int] = []
    for row in range(len(things)):
        if not doubled[row, kept].any():
            kept.append(row)
    surest = {things[row] for row in kept}
    keep = [index for index, label in enumerate(found.labels) if label in stuff or index in surest]
    return chosen(found, keep)


@contextmanager
def _pickles(trusted: bool) -> Iterator[None]:
    """While it lasts, ultralytics loads nothing but its own and torch's layers from pickles, unless they are trusted.

    Raises ExpertUnavailable for an ultralytics that cannot do so.
    """
    from ultralytics.nn import tasks

    if not getattr(getattr(tasks, "_SafeLoad", None), "SUPPORTED", False):
        if not trusted:
            raise ExpertUnavailable(
                "this ultralytics runs whatever code a .pt file holds; update it, or allow that for a file that you "
                "trust by the option trust_pickle: true"
            )
        yield
        return
    with _LOADING:
        usual, tasks.SAFE_LOAD = tasks.SAFE_LOAD, not trusted
        try:
            yield
        finally:
            tasks.SAFE_LOAD = usual


def wrapped(network):
    """A network of ours behind the interface of `ultralytics.YOLO`."""
    from ultralytics import YOLO

    model = YOLO("yolo11n-seg.yaml" if network.task == "segment" else "yolo11n.yaml", verbose=False)
    model.model = network
    model.task = network.task
    model.overrides = {"task": network.task, "imgsz": network.args["imgsz"]}
    return model
