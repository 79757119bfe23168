"""How transformers' `generate` calls the model: pictures and experts go into the first pass alone."""

import inspect

import torch
from torch import Tensor, nn
from transformers import Cache, GenerationMixin

IMAGE_INPUTS = (
    "pixel_values",
    "aux_input_ids",
    "aux_attention_mask",
    "panoptic_pixel_values",
    "image_embeds",
    "aux_tokens",
    "prompt_mask",
    "gates",
    "experts",
)
"""Arguments of `forward` that are for the pass over the prompt; `experts` alone takes down what later ones choose."""


class MoAIGenerationMixin(GenerationMixin):
    """`generate` for a model whose mixers see the prompt and never what is said after it."""

    def generate(self, inputs: Tensor | None = None, *args, **kwargs):
        """As in transformers; `inputs` (B, S) or `input_ids` are the prompt, as for the model's `forward`."""
        given = (kwargs.get("input_ids"), inputs, kwargs.get("inputs_embeds"))
        prompt = next((one for one in given if one is not None), None)
        mixed = any(kwargs.get(name) is not None for name in IMAGE_INPUTS)
        if mixed and prompt is not None and kwargs.get("prompt_mask") is None:
            # With an assistant the first pass reads guessed tokens behind the prompt, and without a cache every pass.
            mask = kwargs.get("attention_mask")
            if mask is None or mask.ndim != 2:
                mask = torch.ones(prompt.shape[:2], dtype=torch.long, device=prompt.device)
            kwargs["prompt_mask"] = mask
        return super().generate(inputs, *args, **kwargs)  # type: ignore[misc]

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: Tensor, past_key_values: Cache | None = None, inputs_embeds: Tensor | None = None, **kwargs
    ) -> dict:
        """Inputs of one pass; on a filled cache the plain decoder runs."""
        inputs: dict = super().prepare_inputs_for_generation(  # type: ignore[misc]
            input_ids,  # type: ignore[arg-type]
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        if past_key_values_length(past_key_values) > 0:
            for name in IMAGE_INPUTS:
                inputs.pop(name, None)
            return inputs if kwargs.get("experts") is None else inputs | {"experts": kwargs["experts"]}
        # transformers keeps pictures from assistants, although theirs is a first pass too.
        inputs |= {name: kwargs[name] for name in IMAGE_INPUTS if kwargs.get(name) is not None}
        width = input_ids.shape[1] if inputs.get("inputs_embeds") is None else inputs["inputs_embeds"].shape[1]
        padding, spread = kwargs.get("attention_mask"), inputs.get("attention_mask")
        prompt_mask = inputs.get("prompt_mask")
        if prompt_mask is not None:
            inputs["prompt_mask"] = prompt_mask = nn.functional.pad(prompt_mask, (0, width - prompt_mask.shape[1]))
        # For a static cache the decoder's mask is spread to four dimensions, and no longer tells where padding is.
        if isinstance(padding, Tensor) and padding.ndim == 2 and spread is not padding:
            inputs["prompt_mask"] = padding if prompt_mask is None else padding * prompt_mask
        return inputs

    def _get_candidate_generator(self, *, model_kwargs: dict, assistant_model=None, **kwargs):  # type: ignore[override]
        # An assistant that knows no pictures guesses from the words.
        if assistant_model is not None:
            taken = inspect.signature(assistant_model.forward).parameters
            blind = [name for name in IMAGE_INPUTS if name not in taken]
            model_kwargs = {name: value for name, value in model_kwargs.items() if name not in blind}
        given = {"model_kwargs": model_kwargs, "assistant_model": assistant_model, **kwargs}
        return super()._get_candidate_generator(**given)  # type: ignore[misc]


def past_key_values_length(past_key_values: Cache | None) -> int:
    """Tokens already in the cache."""
    return 0 if past_key_values is None else past_key_values.get_seq_length()
