"""MoAI: a vision-language model that listens to external computer-vision experts."""

from importlib import import_module

from moai.registration import register, register_with_transformers

_HOMES = {
    "Answer": "moai.answers",
    "MoAI": "moai.assistant",
    "MoAIConfig": "moai.models.configuration",
    "MoAIForConditionalGeneration": "moai.models.modeling",
    "MoAIImageProcessor": "moai.models.inputs.image_processing",
    "MoAIProcessor": "moai.models.processing",
}

__all__ = list(_HOMES)

register_with_transformers()


def __getattr__(name: str):
    # torch and transformers take seconds to import; `moai --help` should not wait for them.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    register()  # whichever name is asked for
    return getattr(import_module(_HOMES[name]), name)
