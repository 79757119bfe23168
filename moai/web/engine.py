"""The assistant behind the page: loads while the page is already there, and says how far it is."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from perception.memory import give_back_large


@dataclass(frozen=True)
class About:
    """Which model and experts (names of `perception.registry`) answer, for people."""

    model: str
    source: str
    parameters: int
    device: str
    mixer_layers: tuple[int, ...]
    experts: tuple[str, ...]
    experts_from: str


class Engine:
    """Loads the assistant once; `stage` and `share` (0..1) say how far loading is, `problem` why it failed."""

    def __init__(
        self,
        model: str | None = None,
        quantize: str | None = None,
        experts_from: str | None = None,
        looking: Mapping[str, Any] | None = None,
        memory: str | None = None,
    ):
        self.model = model
        self.quantize = quantize
        self.memory = memory
        self.experts_from = experts_from
        self.looking = dict(looking or {})
        self.assistant = None
        self.about: About | None = None
        self.stage = "Starting"
        self.share = 0.02
        self.problem: str | None = None
        self._done = threading.Event()

    def load(self, warm_up: Path | None = None) -> None:
        """Load everything; with a picture to `warm_up` the experts load now and not at the first question. The process
        gives large pieces of memory back as soon as they are free.

        Raises ValueError with one sentence when there is no such model.
        """
        give_back_large()
        try:
            self._at("Loading PyTorch", 0.05)
            from moai.assistant import MoAI

            self._at("Loading the language model", 0.3)
            load = {"quantize": self.quantize, "memory": self.memory, "experts_from": self.experts_from}
            assistant = MoAI.from_pretrained(self.model, **load, **self.looking)
            if warm_up is not None:
                self._at("Loading the experts", 0.5)
                with Image.open(warm_up) as picture:
                    # Another size, so that nobody is shown the slow first look as that at the example.
                    encoded = assistant.encode(picture.convert("RGB").resize((320, 320)))
                self._at("Answering a first question", 0.9)
                assistant.ask(encoded, "Is there a road?", max_new_tokens=2)
            self.use(assistant)
        except Exception as error:
            self.problem = str(error) if isinstance(error, ValueError) else "The model could not be loaded."
            raise
        finally:
            self._done.set()

    def use(self, assistant) -> None:
        """Answer with this assistant, which is loaded."""
        self.about = _about(assistant, self.model, self.experts_from)
        self.assistant = assistant
        self._at("Ready", 1.0)
        self._done.set()

    def _at(self, stage: str, share: float) -> None:
        self.stage, self.share = stage, share

    @property
    def ready(self) -> bool:
        """Whether questions are answered at once."""
        return self.assistant is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until loading is over, well or badly; False when it still goes on after `seconds`."""
        return self._done.wait(seconds)

    def get(self):
        """The assistant, once it is there. Raises ValueError with one sentence when it cannot be."""
        self._done.wait()
        if self.assistant is None:
            raise ValueError(self.problem or "the model could not be loaded")
        return self.assistant


def _about(assistant, model: str | None, experts_from: str | None) -> About:
    from weights import DEFAULT_MODEL, embedded_models

    name = DEFAULT_MODEL.name if model is None else model
    return About(
        model=Path(name).name,
        source="embedded in this repository" if name in embedded_models() else name,
        parameters=sum(one.numel() for one in assistant.model.parameters()),
        device=str(assistant.device),
        mixer_layers=tuple(layer + 1 for layer in assistant.model.config.mixer_layers),
        experts=assistant.perception.experts,
        experts_from=experts_from or assistant.model.config.experts_from,
    )
