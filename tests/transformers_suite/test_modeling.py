"""transformers' common suite of models, over a tiny MoAI."""

import unittest

import torch
from transformers import CLIPVisionConfig, LlamaConfig
from transformers_tests.generation.test_utils import GenerationTesterMixin
from transformers_tests.test_modeling_common import ModelTesterMixin

from moai.models.configuration import MoAIConfig, MoAIVisionConfig
from moai.models.modeling import MoAIForConditionalGeneration
from tests.transformers_suite.skips import leave_out

IMAGE_TOKEN = 3


class MoAITester:
    """A tiny MoAI and inputs of two rows, as the suite asks for them."""

    batch_size = 2
    hidden_size = 32
    num_hidden_layers = 2
    num_attention_heads = 4
    num_image_tokens = 4
    seq_length = 4 + num_image_tokens
    image_size, patch_size = 8, 4
    is_training = True

    def __init__(self, parent: unittest.TestCase):
        self.parent = parent

    def get_config(self, **changed) -> MoAIConfig:
        text = LlamaConfig(
            vocab_size=99, hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )  # fmt: skip
        vision = CLIPVisionConfig(
            hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4
        )
        return MoAIConfig(
            text_config=text,
            vision_config=MoAIVisionConfig(
                encoder="clip", name="", image_size=8, patch_size=4, hidden_size=16, clip=vision.to_diff_dict()
            ),
            image_token_id=IMAGE_TOKEN, compressor_num_latents=3, compressor_depth=1, compressor_heads=2,
            compressor_dim_head=8, mixer_layers=[1], mixer_heads=2, mixer_rank=4, plora_rank=2, plora_alpha=2,
            **changed,
        )  # fmt: skip

    def prepare_config_and_inputs_for_common(self) -> tuple[MoAIConfig, dict]:
        torch.manual_seed(0)
        test = getattr(self.parent, "_testMethodName", "")
        # The suite's test of mixtures of experts is for a decoder that is one.
        sparse = {"sparse_experts": 4, "sparse_active": 2, "sparse_shared": 1, "sparse_width": 16}
        config = self.get_config(**sparse if "batched_and_grouped" in test else {})
        ids = torch.randint(4, 99, (self.batch_size, self.seq_length))
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if "eager_matches_sdpa" in test:
            # It takes rows apart and fills them with words at random, of which none may be a picture.
            config.image_token_id = config.text_config.vocab_size
            return config, inputs
        ids[:, 1 : 1 + self.num_image_tokens] = IMAGE_TOKEN
        inputs["pixel_values"] = torch.randn(self.batch_size, 3, self.image_size, self.image_size)
        if "gradient" in test and "use_reentrant_true" not in test:  # every part takes part
            inputs["aux_input_ids"] = torch.randint(4, 99, (self.batch_size, 5))
            inputs["panoptic_pixel_values"] = torch.randn_like(inputs["pixel_values"])
        return config, inputs


@leave_out
class MoAIModelTest(ModelTesterMixin, GenerationTesterMixin, unittest.TestCase):
    all_model_classes = (MoAIForConditionalGeneration,)
    _is_composite = True
    test_all_params_have_gradient = False  # CLIP's last norm is not used

    def setUp(self):
        self.model_tester = MoAITester(self)

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs = super()._prepare_for_class(inputs_dict, model_class)
        if return_labels:  # the suite knows by the names of transformers' own classes who takes them
            inputs["labels"] = inputs["input_ids"].masked_fill(inputs["input_ids"] == IMAGE_TOKEN, -100)
        return inputs
