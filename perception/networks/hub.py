"""Networks in the format of the Hugging Face hub, run by transformers."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from perception.expert import ExpertUnavailable
from perception.networks.network import Network, Result, in_groups

PRECISIONS = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}
"""What the layers of a network compute in, by name; the rest stays fp32."""


class Loaded(NamedTuple):
    """A network, on its device and in evaluation mode, and the processor that makes its inputs."""

    network: Any
    processor: Any


@contextmanager
def fetching(source: str, what: str) -> Iterator[None]:
    """Turns what goes wrong while `source`, a hub id or a folder, is read as `what` into ExpertUnavailable."""
    try:
        yield
    except ExpertUnavailable:
        raise
    except ImportError as error:
        needs = f"the package {error.name}" if error.name else str(error).strip().splitlines()[0].rstrip(".")
        raise ExpertUnavailable(f"{source} needs what is not installed: {needs}") from error
    except Exception as error:
        raise ExpertUnavailable(_why(source, what, error)) from error


def _why(source: str, what: str, error: BaseException) -> str:
    from huggingface_hub import errors

    folder = Path(source)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            return f"{source} holds no network in the hub's format: config.json is missing"
    elif folder.is_absolute() or source.startswith((".", "~")):
        return f"{source} does not exist; give the folder of {what}, or its id on the hub"
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, errors.GatedRepoError):
            return f"{source} is gated: accept its terms on the hub, and log in with `hf auth login`"
        if isinstance(link, errors.RepositoryNotFoundError):
            return f"there is no {source} on the hub; check the id (a private one needs `hf auth login`)"
        if isinstance(link, (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError)):
            return (
                f"{source} is not on this machine and the hub is out of reach; run it once with a network, or give "
                "the folder that holds it"
            )
        link = link.__cause__ or link.__context__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"{source} cannot be read as {what} ({lines[0][:200].rstrip('.:')})"


def place_of(device: str | None) -> torch.device:
    """The device of this name; None: CUDA where there is one."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def device_of(network: torch.nn.Module) -> torch.device:
    """Where a network is."""
    return next(network.parameters()).device


class HubNetwork(Network[Result]):
    """A network behind a hub id or in a folder, loaded by the class `model` of transformers.

    `what` says what it is to be, for sentences. `precision`: one of PRECISIONS; by default fp16 on CUDA and fp32
    elsewhere. On CUDA pictures whose inputs have one shape go through the network together, so that none is padded
    for another's sake and each is seen as it would be alone. Raises ExpertUnavailable when it cannot be had.
    """

    model: str
    what: str

    def __init__(self, source: str | Path, device: str | None = None, precision: str | None = None):
        self.source = os.path.expanduser(source)
        self.device = device
        self.precision = precision
        super().__init__()

    def _load(self) -> Any:
        import transformers

        with fetching(self.source, self.what):
            network, report = getattr(transformers, self.model).from_pretrained(
                self.source, dtype=torch.float32, output_loading_info=True
            )
            _check_heads(self.source, network, report["missing_keys"])
            processor = getattr(transformers, self._processor_of(network)).from_pretrained(self.source)
            network = network.to(place_of(self.device)).eval()
        return Loaded(network, processor)

    def _processor_of(self, network: Any) -> str:
        """The class of transformers that loads the processor."""
        return "AutoImageProcessor"

    def _run(self, pictures: list[np.ndarray]) -> list[Result]:
        inputs = [(self._inputs(picture), picture) for picture in pictures]
        shapes = [tuple((name, *value.shape) for name, value in made.items()) for made, _ in inputs]
        return in_groups(
            inputs, shapes, lambda group: self._pass(*map(list, zip(*group, strict=True))), self._on_cuda()
        )

    def _on_cuda(self) -> bool:
        return device_of(self._model.network).type == "cuda"

    def _pass(self, inputs: list[dict[str, torch.Tensor]], pictures: list[np.ndarray]) -> list[Result]:
        """Results of pictures whose inputs have one shape: in one pass, or in more where memory runs out."""
        try:
            with torch.inference_mode(), self._autocast_on(device_of(self._model.network).type):
                place = device_of(self._model.network)
                joined = {name: torch.cat([one[name] for one in inputs]).to(place) for name in inputs[0]}
                return self._adapted(self._forward(joined), pictures)
        except torch.OutOfMemoryError:
            if len(inputs) == 1:
                place = device_of(self._model.network)
                raise ExpertUnavailable(
                    f"{self.source} does not fit into the memory of {place}; choose a smaller one"
                ) from None
        half = len(inputs) // 2
        return self._pass(inputs[:half], pictures[:half]) + self._pass(inputs[half:], pictures[half:])

    def _autocast_on(self, kind: str):
        dtype = PRECISIONS[self.precision or ("fp16" if kind == "cuda" else "fp32")]
        return torch.autocast(kind, dtype, enabled=dtype is not None)

    def _inputs(self, picture: np.ndarray) -> dict[str, torch.Tensor]:
        """The network's inputs for one picture, each with a leading dimension of one."""
        made = self._model.processor(images=Image.fromarray(picture), return_tensors="pt")
        return {name: value for name, value in made.items() if isinstance(value, torch.Tensor)}

    def _forward(self, inputs: dict[str, torch.Tensor]) -> Any:
        return self._model.network(**inputs)

    def _adapted(self, outputs: Any, pictures: Sequence[np.ndarray]) -> list[Result]:
        """The results of each picture, by the library's own post-processing."""
        raise NotImplementedError


def in_fp32(outputs: Mapping, *names: str) -> Any:
    """The outputs with the tensors of these names in fp32, so that post-processing does not compute in less."""
    for name in names:
        outputs[name] = outputs[name].float()  # type: ignore[index]
    return outputs


def sizes_of(pictures: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """(height, width) of each picture, as post-processing takes them."""
    return [(picture.shape[0], picture.shape[1]) for picture in pictures]


def _check_heads(source: str, network: torch.nn.Module, missing: set[str]) -> None:
    """A network without one of its heads would answer at random."""
    parameters = [name for name, _ in network.named_parameters()]
    for head, module in network.named_children():
        own = [name for name in parameters if name.startswith(f"{head}.")]
        if own and set(own) <= missing:
            raise ExpertUnavailable(
                f"the weights of {source} have no {head} ({type(module).__name__}); it was saved for another task"
            )
