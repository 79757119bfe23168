"""transformers' common suite of processors, over MoAI's."""

import unittest

from transformers_tests.test_processing_common import ProcessorTesterMixin

from moai.models.inputs.image_processing import MoAIImageProcessor
from moai.models.processing import MoAIProcessor
from moai.training.tokenizer import build_tokenizer
from tests.transformers_suite.skips import leave_out
from tests.transformers_suite.test_modeling import MoAITester


@leave_out
class MoAIProcessorTest(ProcessorTesterMixin, unittest.TestCase):
    processor_class = MoAIProcessor

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Auto classes look for a model's configuration beside what they load.
        MoAITester(None).get_config().save_pretrained(cls.tmpdirname)

    @classmethod
    def _setup_tokenizer(cls):
        return build_tokenizer(["lower newer upper older longer string", "What is shown in this image?"] * 3)

    @classmethod
    def _setup_image_processor(cls):
        return MoAIImageProcessor(size={"height": 8, "width": 8})

    @staticmethod
    def prepare_processor_dict():
        return {"num_image_tokens": 4}
