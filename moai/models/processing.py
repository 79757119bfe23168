"""MoAIProcessor: pictures, scenes and chat messages -> the tensors that the model reads."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import AutoProcessor, AutoTokenizer, ProcessorMixin
from transformers.image_utils import ImageInput
from transformers.processing_utils import ProcessingKwargs, Unpack
from transformers.tokenization_utils_base import TextInput

from moai.models.configuration import MoAIConfig
from moai.models.inputs.image_processing import (
    PIXEL_MEAN,
    PIXEL_STD,
    MoAIImageKwargs,
    MoAIImageProcessor,
    image_pixels,
    normalize_pixels,
)
from moai.models.inputs.messages import style_template, written_out
from moai.models.prompts import (
    CHAT,
    PROMPT_STYLES,
    ChatTemplate,
    PromptStyle,
    check_messages,
    plain_text_ids,
    without_system,
)
from moai.models.tokens.pieces import Pieces, pieces_of
from perception.panoptic import colour_map
from perception.scene import Scene
from perception.verbalize import verbalize

_OLD_NAMES = {"picture_size": "image_size", "picture_tokens": "num_image_tokens", "picture_token": "image_token"}
MAX_AUX_TOKENS = 8192
"""Of what the experts say of a picture; a picture full of things has some hundreds."""


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


class MoAIProcessorKwargs(ProcessingKwargs, total=False):
    """transformers' options; rows are padded on the left, as for generation."""

    images_kwargs: MoAIImageKwargs  # type: ignore[misc]
    _defaults = {"text_kwargs": {"padding_side": "left"}}  # type: ignore[misc]  # noqa: RUF012


class MoAIProcessor(ProcessorMixin):
    """Turns conversations about pictures into model inputs.

    `image_size` is the side of the square model input in pixels, `num_image_tokens` the image tokens it becomes,
    `image_mean` and `image_std` the channel statistics of the vision encoder, as shares of the full range (default:
    CLIP's); an `image_processor` holds all of these but `num_image_tokens`, and stands in for them. `prompt_style` is a
    key of `PROMPT_STYLES`; with "chat" prompts are those of the tokenizer's chat template, which `template_options` go
    to. `chat_template` is for `apply_chat_template` alone, by default the template of the prompt style.
    """

    valid_processor_kwargs = MoAIProcessorKwargs  # type: ignore[assignment]

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
        image_processor: MoAIImageProcessor | None = None,
    ):
        if prompt_style not in PROMPT_STYLES:
            raise ValueError(f"unknown prompt style {prompt_style!r}; allowed are {', '.join(PROMPT_STYLES)}")
        if image_processor is None:
            image_processor = MoAIImageProcessor(
                size={"height": image_size, "width": image_size},
                image_mean=tuple(image_mean),
                image_std=tuple(image_std),
                legacy_color_map=legacy_color_map,
            )
        styled = {name: style_template(style, image_token) for name, style in PROMPT_STYLES.items() if name != CHAT}
        if chat_template is None or chat_template in styled.values():
            chat_template = styled.get(prompt_style, getattr(tokenizer, "chat_template", None))
        super().__init__(tokenizer=tokenizer, image_processor=image_processor, chat_template=chat_template)
        self.num_image_tokens = num_image_tokens
        self.image_token = image_token
        self.prompt_style = prompt_style
        self.template_options = template_options

    @classmethod
    def get_processor_dict(cls, *args, **kwargs) -> tuple[dict, dict]:
        """As in transformers; also reads folders that were written by MoAI 0.1, which had other names."""
        settings, rest = super().get_processor_dict(*args, **kwargs)
        return {_OLD_NAMES.get(name, name): value for name, value in settings.items()}, rest

    @classmethod
    def _get_arguments_from_pretrained(cls, folder, processor_dict=None, **kwargs):
        if "image_processor" in (processor_dict or {}):
            return super()._get_arguments_from_pretrained(folder, processor_dict, **kwargs)
        return [AutoTokenizer.from_pretrained(folder, **kwargs)]  # the settings of pictures are the processor's own

    @classmethod
    def from_args_and_dict(cls, args, processor_dict: dict, **kwargs):
        """As in transformers, the parts being handed over by name."""
        parts = dict(zip(cls.get_attributes(), args, strict=False))
        return super().from_args_and_dict([], processor_dict, **(parts | kwargs))

    @property
    def image_token_id(self) -> int:
        """The id of the token that stands for a piece of a picture."""
        return self.tokenizer.convert_tokens_to_ids(self.image_token)

    @property
    def image_size(self) -> int:
        """The side of the square model input in pixels."""
        return self.image_processor.side

    @property
    def image_mean(self) -> list[float]:
        """Channel means, as shares of the full range."""
        return list(self.image_processor.image_mean)

    @property
    def image_std(self) -> list[float]:
        """Channel standard deviations, as shares of the full range."""
        return list(self.image_processor.image_std)

    @property
    def legacy_color_map(self) -> bool:
        """Whether colour maps are scaled as the released weights saw theirs; see `normalize_pixels`."""
        return self.image_processor.legacy_color_map

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

    def prefix_ids(self, with_image: bool) -> list[int]:
        """What stands before the first question: system text and, with a picture, its placeholders, one token for each
        image feature."""
        if self._template is not None:
            return self._template.prefix_ids(with_image)
        ids = self._begun(self.encode_text(self.style.system))
        if with_image:
            ids = ids + [self.image_token_id] * self.num_image_tokens
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
        """A conversation as prompt ids. messages: dicts with `role` ("user" or "assistant"; the first may be "system")
        and `content`, in a list. Where prompts have no system message, it stands before the first question.

        Raises ValueError for a message of another form, an unknown role, or when the last word is not the user's.
        """
        check_messages(messages, last="user")
        if self._template is not None:
            return self._template.conversation_ids(messages, with_image)
        return self._styled(messages, with_image)[0]

    def dialogue_ids(self, messages: Sequence[dict], with_image: bool) -> tuple[list[int], list[bool]]:
        """A whole conversation, to learn from: its ids, and which of them the model has to say (answers with the token
        that ends each). messages: as for `conversation_ids`, but the last word is the assistant's, and there is a
        question. Raises ValueError as `conversation_ids`."""
        check_messages(messages, last="assistant")
        if all(message["role"] != "user" for message in messages):
            raise ValueError("a conversation needs a message of the user")
        if self._template is not None:
            return self._template.dialogue_ids(messages, with_image)
        return self._styled(messages, with_image)

    def _styled(self, messages: Sequence[dict], with_image: bool) -> tuple[list[int], list[bool]]:
        ids = self.prefix_ids(with_image)
        said = [False] * len(ids)
        for message in without_system(messages):
            asks = message["role"] == "user"
            turn = self.question_ids(message["content"]) if asks else self.answer_ids(message["content"])
            ids += turn
            said += [not asks] * len(turn)
        return ids, said

    def aux_ids(self, scene: Scene, experts: Sequence[str] | None = None) -> list[int]:
        """Token ids of the scene in the words of `experts` (None: all), without blank edges; empty if they saw none.
        At most MAX_AUX_TOKENS."""
        return self._begun(self.encode_text(verbalize(scene, experts).strip()))[:MAX_AUX_TOKENS]

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
        pixels = torch.stack([image_pixels(picture, self.image_size) for picture in pictures])
        inputs = {"pixel_values": normalize_pixels(pixels, mean=self.image_mean, std=self.image_std)}
        return inputs if scenes is None else inputs | self.expert_inputs(scenes, experts)

    def expert_inputs(self, scenes: Sequence[Scene], experts: Sequence[str] | None = None) -> dict[str, Tensor]:
        """What the experts say of pictures (B,): the words and the colour maps of their scenes."""
        size, pad_id = self.image_size, self.tokenizer.pad_token_id
        aux_ids, aux_mask = pad([self.aux_ids(scene, experts) for scene in scenes], pad_id, left=False)
        shown = experts is None or "segmentation" in experts
        blank = np.zeros((size, size, 3), dtype=np.uint8)
        return {
            "aux_input_ids": aux_ids,
            "aux_attention_mask": aux_mask,
            "panoptic_pixel_values": self.image_processor.colour_maps(
                [colour_map(scene, size) if shown else blank for scene in scenes]
            ),
        }

    def prompt_inputs(self, conversations: Sequence[Sequence[dict]], with_image: bool) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask` (B, S), padded on the left."""
        rows = [self.conversation_ids(messages, with_image) for messages in conversations]
        input_ids, attention_mask = pad(rows, self.tokenizer.pad_token_id, left=True)
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def __call__(
        self,
        images: ImageInput | None = None,
        text: TextInput | list[TextInput] | None = None,
        messages: Sequence[Sequence[dict]] | None = None,
        scenes: Sequence[Scene] | None = None,
        pictures: Sequence | None = None,
        experts: Sequence[str] | None = None,
        **kwargs: Unpack[MoAIProcessorKwargs],
    ) -> Mapping:
        """Model inputs for a batch, in one of two ways.

        `processor(messages, scenes=, pictures=, experts=)`: conversations, each about its picture (RGB, PIL or uint8
        (H, W, 3)) and its scene. `processor(images=, text=, return_tensors="pt")`: as in transformers; a text holds one
        image token for its picture, or none, and `scenes` are those of the pictures. Without scenes the plain backbone
        answers. Raises ValueError when the numbers of conversations, pictures and scenes differ.
        """
        if messages is None and text is None and (pictures is not None or _are_conversations(images)):
            messages, images = images, None  # type: ignore[assignment]
        if messages is not None:
            return self._conversation_inputs(messages, scenes, pictures, experts)
        if text is None and images is None:
            raise ValueError("the processor needs pictures, text or both")
        for one in [text] if isinstance(text, str) else text or ():
            if isinstance(one, str) and one.count(self.image_token) > 1:
                raise ValueError(f"a text holds at most one picture, but {one!r} has {one.count(self.image_token)}")
        inputs = super().__call__(images=images, text=text, **kwargs)
        inputs.pop("token_type_ids", None)
        if scenes is not None:
            if images is None or len(scenes) != len(inputs["pixel_values"]):
                raise ValueError(f"got {len(scenes)} scenes, which must be one for each picture")
            inputs.update(self.expert_inputs(scenes, experts))
        return inputs

    def replace_image_token(self, image_inputs: dict, image_idx: int, **kwargs) -> str:
        """What stands in a text for a picture: an image token for each image feature."""
        return self.image_token * self.num_image_tokens

    def _conversation_inputs(self, messages, scenes, pictures, experts) -> dict[str, Tensor]:
        for name, given in (("scenes", scenes), ("pictures", pictures)):
            if given is not None and len(given) != len(messages):
                raise ValueError(f"got {len(messages)} conversations but {len(given)} {name}; give one for each")
        inputs = self.prompt_inputs(messages, pictures is not None)
        if pictures is not None:
            inputs |= self.image_inputs(pictures, scenes, experts)
        return inputs

    def apply_chat_template(self, conversation, chat_template: str | None = None, **kwargs):  # type: ignore[override]
        """As in transformers: messages whose `content` is a text or a list of parts, among them pictures.

        With `tokenize=True, return_dict=True, return_tensors="pt"` model inputs, otherwise a text; the template writes
        all special tokens. A conversation has at most one picture.
        """
        own = chat_template is None and self.prompt_style == CHAT
        if own:
            kwargs = {**(self.template_options or {}), **kwargs}
        if not kwargs.get("tokenize"):
            messages = self._texts(conversation)[0] if own else conversation
            return super().apply_chat_template(messages, chat_template, **kwargs)
        options = kwargs["processor_kwargs"] = {"add_special_tokens": False, **(kwargs.get("processor_kwargs") or {})}
        if not own:
            return super().apply_chat_template(conversation, chat_template, **kwargs)
        texts, pictures = self._texts(conversation)
        if not pictures:
            return super().apply_chat_template(texts, **kwargs)
        # The template of a language model takes text alone, so the pictures go round it.
        as_dict, tensors = kwargs.pop("return_dict", False), kwargs.pop("return_tensors", "auto")
        kwargs |= {"tokenize": False, "processor_kwargs": None}
        prompt = super().apply_chat_template(texts, **kwargs)
        options |= {} if tensors == "auto" else {"return_tensors": tensors}
        inputs = self(images=pictures, text=prompt, **options)
        return inputs if as_dict else inputs["input_ids"]

    def _texts(self, conversation) -> tuple[list, list]:
        """A conversation, or several, as text, and all their pictures."""
        if not isinstance(conversation[0], (list, tuple)):
            return written_out(conversation, self.image_token)
        each = [written_out(one, self.image_token) for one in conversation]
        return [texts for texts, _ in each], [picture for _, pictures in each for picture in pictures]


def _are_conversations(value) -> bool:
    """Whether something is a list of conversations and not of pictures."""
    if not isinstance(value, (list, tuple)):
        return False
    return all(isinstance(one, (list, tuple)) and all(isinstance(part, Mapping) for part in one) for one in value)


AutoProcessor.register(MoAIConfig, MoAIProcessor, exist_ok=True)
