"""MoAIProcessor: pictures, scenes and chat messages -> the tensors that the model reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, ProcessorMixin

from moai.models.configuration import MoAIConfig
from perception.panoptic import colour_map
from perception.scene import Scene
from perception.verbalize import verbalize

PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""CLIP's channel means, as shares of the full range 0..255."""
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
SYSTEM = "AI assistant should give helpful and detailed answers to user after fully understanding an image."
_OLD_NAMES = {"picture_size": "image_size", "picture_tokens": "num_image_tokens", "picture_token": "image_token"}


@dataclass(frozen=True)
class PromptStyle:
    """How a conversation is written: `question` and `answer` are format strings; generation stops at `stop`."""

    question: str
    answer: str
    stop: str | None


PROMPT_STYLES = {
    "plain": PromptStyle(" USER: {} ASSISTANT:", " {}", None),
    "reference_demo": PromptStyle(" USER: {} ASSISTANT:", " {}", "[U"),
    "reference_evaluation": PromptStyle(
        " [UNUSED_TOKEN_146]user\n{}[UNUSED_TOKEN_145]\n[UNUSED_TOKEN_146]assistant\n", "{}[UNUSED_TOKEN_145]\n", "[U"
    ),
}


def normalize_pixels(pixels: Tensor, legacy_color_map: bool = False) -> Tensor:
    """uint8 pixels (B, 3, H, W) in 0..255 -> fp32, CLIP mean and standard deviation taken out.

    With `legacy_color_map` the pixels are scaled to 0..1 but the statistics are those of 0..255, as the released
    weights saw their colour maps.
    """
    mean = torch.tensor(PIXEL_MEAN, device=pixels.device)[:, None, None]
    std = torch.tensor(PIXEL_STD, device=pixels.device)[:, None, None]
    values = pixels.float() / 255
    return (values - mean * 255) / (std * 255) if legacy_color_map else (values - mean) / std


def image_pixels(picture: Image.Image | np.ndarray, size: int) -> Tensor:
    """One RGB picture (PIL, or uint8 (H, W, 3)) -> uint8 (3, size, size); the aspect ratio is not kept."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture.convert("RGB")
    resized = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return torch.from_numpy(resized.copy()).permute(2, 0, 1)


def pad(rows: Sequence[Sequence[int]], value: int, left: bool, width: int | None = None) -> tuple[Tensor, Tensor]:
    """Rows of token ids -> (ids (B, N) int64, mask (B, N) int64 with 1 = real token); N is `width` or the longest."""
    width = max((len(row) for row in rows), default=0) if width is None else width
    ids = torch.full((len(rows), width), value, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[index, place] = torch.as_tensor(row, dtype=torch.long)
        mask[index, place] = 1
    return ids, mask


class MoAIProcessor(ProcessorMixin):
    """Turns conversations about pictures into model inputs.

    `image_size` is the side of the square model input in pixels, `num_image_tokens` the image tokens it becomes,
    `prompt_style` a key of `PROMPT_STYLES`.
    """

    def __init__(
        self,
        tokenizer=None,
        image_size: int = 192,
        num_image_tokens: int = 144,
        image_token: str = "<image>",
        prompt_style: str = "plain",
        legacy_color_map: bool = False,
        chat_template: str | None = None,
    ):
        super().__init__(tokenizer, chat_template=chat_template)
        if prompt_style not in PROMPT_STYLES:
            raise ValueError(f"unknown prompt style {prompt_style!r}; allowed are {', '.join(PROMPT_STYLES)}")
        self.image_size = image_size
        self.num_image_tokens = num_image_tokens
        self.image_token = image_token
        self.prompt_style = prompt_style
        self.legacy_color_map = legacy_color_map

    @classmethod
    def get_processor_dict(cls, *args, **kwargs) -> tuple[dict, dict]:
        """As in transformers; also reads folders that were written by MoAI 0.1, which had other names."""
        settings, rest = super().get_processor_dict(*args, **kwargs)
        return {_OLD_NAMES.get(name, name): value for name, value in settings.items()}, rest

    @property
    def style(self) -> PromptStyle:
        """How conversations are written for this model."""
        return PROMPT_STYLES[self.prompt_style]

    def encode_text(self, text: str) -> list[int]:
        """Token ids of `text`, no special tokens added; what looks like one in the text is read as plain letters.

        Half of a character (a lone surrogate) is read as U+FFFD."""
        if not text.isascii():
            # The two halves of a character that come one after the other are joined.
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        # Training reads millions of short texts; the wrapper around the backend would take three times as long.
        if not backend.encode_special_tokens:  # not written in vain, as other threads may be reading
            backend.encode_special_tokens = True
        return backend.encode(text, add_special_tokens=False).ids

    def prefix_ids(self, with_image: bool) -> list[int]:
        """System text and, with a picture, its placeholders, one token for each image feature."""
        ids = self.encode_text(SYSTEM)
        if with_image:
            ids = ids + [self.tokenizer.convert_tokens_to_ids(self.image_token)] * self.num_image_tokens
        return ids

    def question_ids(self, question: str) -> list[int]:
        """A user's turn up to the place where the answer begins."""
        return self.encode_text(self.style.question.format(question))

    def answer_ids(self, answer: str) -> list[int]:
        """An assistant's turn with the end-of-sequence token."""
        return [*self.encode_text(self.style.answer.format(answer)), self.tokenizer.eos_token_id]

    def conversation_ids(self, messages: Sequence[dict], with_image: bool) -> list[int]:
        """A conversation as prompt ids. messages: dicts with `role` ("user" or "assistant") and `content`, in a list.

        Raises ValueError for a message of another form, an unknown role, or when the last word is not the user's.
        """
        if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)):
            kind = type(messages).__name__
            raise ValueError(f"a conversation must be a list of messages, each with a role and a content, not {kind}")
        for message in messages:
            if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
                raise ValueError(f"each message needs a role and a content, both text; got {message!r}")
        if not messages or messages[-1].get("role") != "user":
            raise ValueError("a conversation must end with a message of the user")
        ids = self.prefix_ids(with_image)
        for message in messages:
            if message.get("role") == "user":
                ids += self.question_ids(message["content"])
            elif message.get("role") == "assistant":
                ids += self.answer_ids(message["content"])
            else:
                raise ValueError(f"unknown role {message.get('role')!r}; allowed are user and assistant")
        return ids

    def aux_ids(self, scene: Scene, experts: Sequence[str] | None = None) -> list[int]:
        """Token ids of the scene in the words of `experts` (None: all), without blank edges; empty if they saw none."""
        return self.encode_text(verbalize(scene, experts).strip())

    def image_inputs(
        self, pictures: Sequence, scenes: Sequence[Scene] | None, experts: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Everything the model needs of pictures (B,) and their scenes, apart from the questions.

        Without `scenes` the experts are left out and the plain backbone answers. Without "segmentation" among
        `experts` the colour map is blank.
        """
        size = self.image_size
        inputs = {"pixel_values": normalize_pixels(torch.stack([image_pixels(p, size) for p in pictures]))}
        if scenes is None:
            return inputs
        pad_id = self.tokenizer.pad_token_id
        aux_ids, aux_mask = pad([self.aux_ids(scene, experts) for scene in scenes], pad_id, left=False)
        shown = experts is None or "segmentation" in experts
        blank = np.zeros((size, size, 3), dtype=np.uint8)
        maps = [colour_map(scene, size) if shown else blank for scene in scenes]
        colours = torch.from_numpy(np.stack(maps)).permute(0, 3, 1, 2)
        return inputs | {
            "aux_input_ids": aux_ids,
            "aux_attention_mask": aux_mask,
            "panoptic_pixel_values": normalize_pixels(colours, self.legacy_color_map),
        }

    def prompt_inputs(self, conversations: Sequence[Sequence[dict]], with_image: bool) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask` (B, S), padded on the left."""
        rows = [self.conversation_ids(messages, with_image) for messages in conversations]
        input_ids, attention_mask = pad(rows, self.tokenizer.pad_token_id, left=True)
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def __call__(
        self,
        messages: Sequence[Sequence[dict]],
        scenes: Sequence[Scene] | None = None,
        pictures: Sequence | None = None,
        experts: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """Model inputs for a batch of conversations, each about its picture (RGB, PIL or uint8 (H, W, 3)) and scene.

        Raises ValueError when the numbers of conversations, pictures and scenes differ.
        """
        for name, given in (("scenes", scenes), ("pictures", pictures)):
            if given is not None and len(given) != len(messages):
                raise ValueError(f"got {len(messages)} conversations but {len(given)} {name}; give one for each")
        inputs = self.prompt_inputs(messages, pictures is not None)
        if pictures is not None:
            inputs |= self.image_inputs(pictures, scenes, experts)
        return inputs


AutoProcessor.register(MoAIConfig, MoAIProcessor, exist_ok=True)
