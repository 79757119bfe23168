"""MoAIProcessor: pictures, scenes and chat messages -> the tensors that the model reads."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, ProcessorMixin

from moai.models.configuration import MoAIConfig
from moai.models.prompts import (
    CHAT,
    PROMPT_STYLES,
    ChatTemplate,
    PromptStyle,
    check_messages,
    plain_text_ids,
)
from moai.models.tokens.pieces import Pieces, pieces_of
from perception.panoptic import colour_map
from perception.scene import Scene
from perception.verbalize import verbalize

PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""CLIP's channel means, as shares of the full range 0..255."""
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
_OLD_NAMES = {"picture_size": "image_size", "picture_tokens": "num_image_tokens", "picture_token": "image_token"}


def normalize_pixels(
    pixels: Tensor,
    legacy_color_map: bool = False,
    mean: Sequence[float] = PIXEL_MEAN,
    std: Sequence[float] = PIXEL_STD,
) -> Tensor:
    """uint8 pixels (B, 3, H, W) in 0..255 -> fp32, `mean` and `std` of the channels (shares of 255) taken out.

    With `legacy_color_map` the pixels are scaled to 0..1 but the statistics are those of 0..255, as the released
    weights saw their colour maps.
    """
    mean = torch.tensor(mean, device=pixels.device)[:, None, None]
    std = torch.tensor(std, device=pixels.device)[:, None, None]
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
    `image_mean` and `image_std` the channel statistics of the vision encoder, as shares of the full range (default:
    CLIP's). `prompt_style` is a key of `PROMPT_STYLES`; with "chat" prompts are those of the tokenizer's chat template,
    which `template_options` go to.
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
        image_mean: Sequence[float] = PIXEL_MEAN,
        image_std: Sequence[float] = PIXEL_STD,
        template_options: dict | None = None,
    ):
        super().__init__(tokenizer, chat_template=chat_template)
        if prompt_style not in PROMPT_STYLES:
            raise ValueError(f"unknown prompt style {prompt_style!r}; allowed are {', '.join(PROMPT_STYLES)}")
        self.image_size = image_size
        self.num_image_tokens = num_image_tokens
        self.image_token = image_token
        self.prompt_style = prompt_style
        self.legacy_color_map = legacy_color_map
        self.image_mean, self.image_std = list(image_mean), list(image_std)
        self.template_options = template_options

    @classmethod
    def get_processor_dict(cls, *args, **kwargs) -> tuple[dict, dict]:
        """As in transformers; also reads folders that were written by MoAI 0.1, which had other names."""
        settings, rest = super().get_processor_dict(*args, **kwargs)
        return {_OLD_NAMES.get(name, name): value for name, value in settings.items()}, rest

    @property
    def style(self) -> PromptStyle:
        """How conversations are written for this model."""
        return PROMPT_STYLES[self.prompt_style]

    @cached_property
    def _template(self) -> ChatTemplate | None:
        if self.prompt_style != CHAT:
            return None
        return ChatTemplate(self.tokenizer, self.image_token, self.num_image_tokens, self.template_options)

    def encode_text(self, text: str) -> list[int]:
        """As `moai.models.prompts.plain_text_ids`, with this processor's tokenizer."""
        if self._pieces is not None and text.isascii():
            return self._pieces.ids(text)
        return plain_text_ids(self.tokenizer, text)

    @cached_property
    def _pieces(self) -> Pieces | None:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return None if backend is None else pieces_of(backend)

    def normalized(self, pixels: Tensor, colour_map: bool = False) -> Tensor:
        """uint8 pixels (B, 3, H, W), of pictures or of colour maps, as the vision encoder wants them; fp32."""
        return normalize_pixels(pixels, colour_map and self.legacy_color_map, self.image_mean, self.image_std)

    def prefix_ids(self, with_image: bool) -> list[int]:
        """What stands before the first question: system text and, with a picture, its placeholders, one token for each
        image feature."""
        if self._template is not None:
            return self._template.prefix_ids(with_image)
        ids = self._begun(self.encode_text(self.style.system))
        if with_image:
            ids = ids + [self.tokenizer.convert_tokens_to_ids(self.image_token)] * self.num_image_tokens
        return ids

    def question_ids(self, question: str, with_image: bool = True) -> list[int]:
        """A user's first turn, behind `prefix_ids(with_image)`, up to the place where the answer begins."""
        if self._template is not None:
            return self._template.question_ids(question, with_image)
        return self.encode_text(self.style.question.format(question))

    def answer_ids(self, answer: str) -> list[int]:
        """An assistant's turn with the token that ends it."""
        if self._template is not None:
            return self._template.answer_ids(answer)
        return [*self.encode_text(self.style.answer.format(answer)), self.tokenizer.eos_token_id]

    def conversation_ids(self, messages: Sequence[dict], with_image: bool) -> list[int]:
        """A conversation as prompt ids. messages: dicts with `role` ("user" or "assistant"; with a chat template the
        first may be "system") and `content`, in a list.

        Raises ValueError for a message of another form, an unknown role, or when the last word is not the user's.
        """
        check_messages(messages, self.roles, last="user")
        if self._template is not None:
            return self._template.conversation_ids(messages, with_image)
        return self._styled(messages, with_image)[0]

    def dialogue_ids(self, messages: Sequence[dict], with_image: bool) -> tuple[list[int], list[bool]]:
        """A whole conversation, to learn from: its ids, and which of them the model has to say (answers with the token
        that ends each). messages: as for `conversation_ids`, but the last word is the assistant's, and there is a
        question. Raises ValueError as `conversation_ids`."""
        check_messages(messages, self.roles, last="assistant")
        if all(message["role"] != "user" for message in messages):
            raise ValueError("a conversation needs a message of the user")
        if self._template is not None:
            return self._template.dialogue_ids(messages, with_image)
        return self._styled(messages, with_image)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that messages may have."""
        return ("user", "assistant") if self._template is None else ("system", "user", "assistant")

    def _styled(self, messages: Sequence[dict], with_image: bool) -> tuple[list[int], list[bool]]:
        ids = self.prefix_ids(with_image)
        said = [False] * len(ids)
        for message in messages:
            asks = message["role"] == "user"
            turn = self.question_ids(message["content"]) if asks else self.answer_ids(message["content"])
            ids += turn
            said += [not asks] * len(turn)
        return ids, said

    def aux_ids(self, scene: Scene, experts: Sequence[str] | None = None) -> list[int]:
        """Token ids of the scene in the words of `experts` (None: all), without blank edges; empty if they saw none."""
        return self._begun(self.encode_text(verbalize(scene, experts).strip()))

    def _begun(self, ids: list[int]) -> list[int]:
        begin = self.tokenizer.bos_token_id
        return [begin, *ids] if self.style.begins and begin is not None else ids

    def image_inputs(
        self, pictures: Sequence, scenes: Sequence[Scene] | None, experts: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Everything the model needs of pictures (B,) and their scenes, apart from the questions.

        Without `scenes` the experts are left out and the plain backbone answers. Without "segmentation" among
        `experts` the colour map is blank.
        """
        size = self.image_size
        inputs = {"pixel_values": self.normalized(torch.stack([image_pixels(p, size) for p in pictures]))}
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
            "panoptic_pixel_values": self.normalized(colours, colour_map=True),
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
