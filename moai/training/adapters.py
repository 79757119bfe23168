"""What a training may add to a model: LoRA on the decoder."""

from moai.models.adapters.lora import add_lora, merge_lora

__all__ = ["add_lora", "merge_lora"]
