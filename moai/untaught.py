"""The language model that a decoder was, before it was taught about pictures: it answers where there is no picture."""

import threading
from typing import Any
from weakref import WeakKeyDictionary

from moai.evidence import Taking
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.pretrained.language import load_language

_LOADED: WeakKeyDictionary[MoAIForConditionalGeneration, Any] = WeakKeyDictionary()
_LOCK = threading.Lock()


def speaks_without_a_picture(model: MoAIForConditionalGeneration) -> Any:
    """The untaught language model of a model that knows it, loaded at its first question; else the model itself, and
    also where a limit of memory leaves no room for a second one.

    Raises ValueError with one sentence when it is no longer there.
    """
    if model.taught_from is None or hasattr(model.language_model, "streaming"):
        return model
    with _LOCK:
        if model not in _LOADED:
            language, _ = load_language(model.taught_from, model.dtype)
            moved: Any = language
            _LOADED[model] = moved.to(model.device)
        return _LOADED[model]


def speaker(model: MoAIForConditionalGeneration, inputs: dict[str, Any], taking: Taking) -> tuple[Any, dict[str, Any]]:
    """Who answers these inputs, and what it is given: without a picture the language model as it was before it was
    taught about pictures, where that is known, so that it loses nothing. Raises ValueError as above."""
    if set(inputs) == {"input_ids", "attention_mask"}:
        return speaks_without_a_picture(model), inputs
    return model, inputs | taking.arguments
