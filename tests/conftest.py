import copy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import LlamaConfig

from moai.models.configuration import MoAIConfig, MoAIVisionConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.models.prompts import SYSTEM
from moai.training.tokenizer import build_tokenizer
from perception.labels import COCO_PANOPTIC_CLASSES, PSG_PREDICATES
from perception.scene import Detection, Relation, Scene, Segment, TextLine
from perception.verbalize import verbalize

IMAGE_TOKEN = 3
QUESTIONS = (
    "USER: What does the sign say? ASSISTANT: A dog",
    "Why, and how many dogs are there in this picture? Where is it?",
)
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups in its own hook of this name
def pytest_collection_modifyitems(config, items):
    """Of several processes one runs a whole file, and one all about the page, which starts once. They begin with what
    takes long, so that none has to wait for another at the end."""
    sizes = Counter()
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            file = item.nodeid.partition("::")[0]
            item.add_marker(pytest.mark.xdist_group("tests/web" if file.startswith("tests/web/") else file))
        sizes[_group(item)] += 20 if item.get_closest_marker("slow") else 1
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -sizes[_group(item)])


def _group(item) -> str:
    return item.get_closest_marker("xdist_group").args[0]


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup():
    """Random weights are the same whichever tests the process ran before."""
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call():
    torch.manual_seed(0)


def tiny_config(**overrides) -> MoAIConfig:
    text_config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        tie_word_embeddings=True,
    )
    fields = dict(
        text_config=text_config,
        vision_config=MoAIVisionConfig(name="resnet18d", feature_level=1, image_size=32, patch_size=4, hidden_size=64),
        image_token_id=IMAGE_TOKEN,
        compressor_num_latents=6,
        compressor_depth=2,
        compressor_heads=2,
        compressor_dim_head=8,
        compressor_neighborhood=3,
        compressor_parts=2,
        mixer_layers=[0, 2],
        mixer_heads=2,
        mixer_rank=8,
        plora_rank=4,
        plora_alpha=4,
        tie_word_embeddings=True,
    )
    return MoAIConfig(**(fields | overrides))


def opened(model: MoAIForConditionalGeneration) -> MoAIForConditionalGeneration:
    """Random weights in every branch that starts closed, so that a test cannot pass because nothing flows."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.add_(torch.randn_like(parameter) * 0.15)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.fixture(scope="session")
def first_model():
    """For copies alone, which take a third of the time."""
    torch.manual_seed(0)
    return opened(MoAIForConditionalGeneration(tiny_config())).eval()


@pytest.fixture
def model(first_model):
    return copy.deepcopy(first_model)


@pytest.fixture
def inputs(model):
    """Two samples of different lengths, padded: prompt of text, picture, text; verbalised scenes of 7 and 4 words."""
    generator = torch.Generator().manual_seed(1)
    picture = [IMAGE_TOKEN] * model.config.num_image_tokens
    rows = [[5, 6, *picture, 7, 8, 9, 10], [5, 6, *picture, 11]]
    width = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[0] * (width - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows]),
        "pixel_values": torch.randn(2, 3, 32, 32, generator=generator),
        "panoptic_pixel_values": torch.randn(2, 3, 32, 32, generator=generator),
        "aux_input_ids": torch.tensor([[20, 21, 22, 23, 24, 25, 26], [27, 28, 29, 30, 0, 0, 0]]),
        "aux_attention_mask": torch.tensor([[1] * 7, [1] * 4 + [0] * 3]),
    }


def single(inputs: dict, row: int) -> dict:
    """One sample of a batch without any padding."""
    kept = inputs["attention_mask"][row].bool()
    words = inputs["aux_attention_mask"][row].bool()
    return {
        "input_ids": inputs["input_ids"][row, kept][None],
        "attention_mask": inputs["attention_mask"][row, kept][None],
        "pixel_values": inputs["pixel_values"][row : row + 1],
        "panoptic_pixel_values": inputs["panoptic_pixel_values"][row : row + 1],
        "aux_input_ids": inputs["aux_input_ids"][row, words][None],
        "aux_attention_mask": inputs["aux_attention_mask"][row, words][None],
    }


def tiny_tokenizer():
    """One like the embedded model's that knows what experts say and a few words of questions, and spells the rest."""
    return build_tokenizer([SYSTEM, *QUESTIONS, *COCO_PANOPTIC_CLASSES, *PSG_PREDICATES, verbalize(example_scene())])


def tiny_processor(tokenizer) -> MoAIProcessor:
    """For the tiny models: pictures of 32 pixels are 64 tokens."""
    return MoAIProcessor(tokenizer, image_size=32, num_image_tokens=64)


def save_tiny(processor: MoAIProcessor, folder: Path) -> Path:
    """Writes a tiny random model with its processor, as `from_pretrained` reads it."""
    torch.manual_seed(0)
    text = tiny_config().text_config
    text.vocab_size, text.max_position_embeddings = len(processor.tokenizer), 320
    image_token = processor.tokenizer.convert_tokens_to_ids("<image>")
    text.tie_word_embeddings = False  # with tied ones a random model says one word for ever
    config = tiny_config(text_config=text, image_token_id=image_token, tie_word_embeddings=False, plora_alpha=16)
    model = opened(opened(MoAIForConditionalGeneration(config)))
    torch.nn.init.normal_(model.language_model.embed_tokens.weight)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer():
    """That of the tiny models."""
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def processor(tokenizer):
    """That of the tiny models."""
    return tiny_processor(tokenizer)


@pytest.fixture(scope="session")
def model_folder(processor, tmp_path_factory):
    """A tiny random model with its processor."""
    return save_tiny(processor, tmp_path_factory.mktemp("model"))


def example_scene() -> Scene:
    """A dog on a bench beside a sign."""
    boxes = {"dog": (0.1, 0.2, 0.4, 0.6), "bench": (0.05, 0.5, 0.6, 0.9)}
    return Scene(
        100,
        80,
        segments=[Segment("grass-merged", (0, 0.5, 1, 1))],
        detections=[Detection(label, box, 0.9) for label, box in boxes.items()],
        objects=list(boxes),
        relations=[Relation(0, "sitting on", 1, 0.95)],
        text_lines=[TextLine("OPEN 24", 0.99)],
    )


@pytest.fixture
def scene():
    """A dog on a bench beside a sign."""
    return example_scene()


def example_image(name: str, scale: float = 0.5) -> np.ndarray:
    """A picture of the examples, (H, W, 3) uint8."""
    image = Image.open(EXAMPLES / f"{name}.png").convert("RGB")
    return np.asarray(image.resize((round(image.width * scale), round(image.height * scale))))
