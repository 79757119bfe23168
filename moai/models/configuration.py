"""The sizes and switches of a MoAI model, as a transformers configuration."""

from typing import Any

from transformers import AutoConfig, LlamaConfig, PreTrainedConfig

from moai.models.sparse.sizes import check_sparse

MAX_PARTS = 64
POSITIONS = ("none", "sinusoidal")


class MoAIVisionConfig(PreTrainedConfig):
    """The vision encoder: `encoder` is "clip" (transformers' CLIP vision model before its final norm), "timm" (any timm
    backbone) or "transformers" (any vision model of transformers).

    `name` is the timm model's name and `feature_level` the index of the feature map that is used; `patch_size` is
    the pixel stride of one image token; `hidden_size` is the encoder's output width; `clip` holds the fields of a
    `CLIPVisionConfig`, `hub` those of the configuration of "transformers", with its `model_type`. `image_size` is the
    side of the square input in pixels.
    """

    model_type = "moai_vision"

    encoder: str = "timm"
    name: str = "resnet18d"
    feature_level: int = 3
    image_size: int = 192
    patch_size: int = 16
    hidden_size: int = 256
    clip: dict | None = None
    hub: dict | None = None

    @property
    def num_image_tokens(self) -> int:
        """Image tokens per picture: one for each patch."""
        return (self.image_size // self.patch_size) ** 2


class MoAIConfig(PreTrainedConfig):
    """Configuration of `MoAIForConditionalGeneration`.

    `text_config` is the configuration of a decoder language model, `head_bias` says whether its output linear has a
    bias, `mixer_layers` the 0-based decoder layers that hold a
    MoAI-Mixer. `compressor_positions` is "sinusoidal" or "none" (the reference gives its compressor no positions);
    `compressor_neighborhood` is the width in words of a depthwise convolution over the verbalised text before it is
    compressed (0: none). `compressor_parts` runs of the text are each read by all latents, which gives as many times
    more auxiliary tokens. `legacy_color_map` scales the colour map to 0..1 before it is normalised with 0..255
    statistics, which nearly erases it but is what the released weights were trained with. `experts_from` names the
    preset of `perception.presets` whose experts the model listens to. `lora` has `rank`, `alpha` and `targets` of the
    LoRA that linears of the decoder have beside them, if they do (see `moai.models.adapters.lora`). `built_from` holds
    the arguments of `moai.models.pretrained.build` that made the model.

    `sparse_experts` above 0 replaces the feed-forwards of the decoder from layer `sparse_first` (0-based) on by sparse
    ones (DeepSeekMoE, arXiv 2401.06066): that many routed experts of width `sparse_width`, of which each token takes
    `sparse_active`, beside `sparse_shared` ones that every token passes. What routed ones give is weighted by the
    router's softmax, divided by its sum over the chosen with `sparse_renormalise`, times `sparse_scaling`. After
    experts were pruned, `sparse_pruned` rows of the router stand for those that are gone; after experts were merged,
    `sparse_routes` rows lead to fewer experts (0: one to each).
    """

    model_type = "moai"
    sub_configs = {"text_config": AutoConfig, "vision_config": MoAIVisionConfig}  # noqa: RUF012

    text_config: Any = None  # a configuration; its dictionary will do when one is made
    vision_config: Any = None
    image_token_id: int = 0
    compressor_num_latents: int = 64
    compressor_depth: int = 4
    compressor_heads: int = 4
    compressor_dim_head: int = 64
    compressor_ff_mult: int = 1
    compressor_positions: str = "sinusoidal"
    compressor_neighborhood: int = 0
    compressor_parts: int = 1
    mixer_layers: list[int] | None = None
    mixer_heads: int = 4
    mixer_rank: int = 64
    plora_rank: int = 0
    plora_alpha: float = 1.0
    legacy_color_map: bool = False
    experts_from: str = "drawn"
    lora: dict | None = None
    head_bias: bool = False
    sparse_experts: int = 0
    sparse_shared: int = 0
    sparse_active: int = 1
    sparse_width: int = 0
    sparse_first: int = 1
    sparse_scaling: float = 1.0
    sparse_renormalise: bool = False
    sparse_pruned: int = 0
    sparse_routes: int = 0
    built_from: dict | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs):
        if not isinstance(self.vision_config, PreTrainedConfig):
            self.vision_config = MoAIVisionConfig(**(self.vision_config or {}))
        if self.text_config is None:
            self.text_config = LlamaConfig()
        elif isinstance(self.text_config, dict):
            fields = dict(self.text_config)
            self.text_config = AutoConfig.for_model(fields.pop("model_type", "llama"), **fields)
        if self.mixer_layers is None:
            self.mixer_layers = []
        self.tie_word_embeddings = self.tie_word_embeddings or bool(self.text_config.tie_word_embeddings)
        beyond = [layer for layer in self.mixer_layers if not 0 <= layer < self.text_config.num_hidden_layers]
        if beyond:
            raise ValueError(
                f"mixer_layers {beyond} are outside the decoder, which has layers 0 to "
                f"{self.text_config.num_hidden_layers - 1}"
            )
        width = self.text_config.hidden_size
        if self.mixer_layers and not (0 < self.mixer_heads <= width and width % self.mixer_heads == 0):
            raise ValueError(f"mixer_heads is {self.mixer_heads}, but must divide the decoder's width, {width}")
        if self.compressor_positions not in POSITIONS:
            raise ValueError(
                f"compressor_positions is {self.compressor_positions!r}, but must be one of {', '.join(POSITIONS)}"
            )
        if type(self.compressor_parts) is not int or not 1 <= self.compressor_parts <= MAX_PARTS:
            raise ValueError(
                f"compressor_parts is {self.compressor_parts!r}, but must be a number from 1 to {MAX_PARTS}"
            )
        check_sparse(self)
        super().__post_init__(**kwargs)

    @property
    def num_image_tokens(self) -> int:
        """Image tokens per picture."""
        return self.vision_config.num_image_tokens

    @classmethod
    def moai_nano(cls, vocab_size: int = 2048, image_token_id: int = 3, **overrides) -> "MoAIConfig":
        """The embedded model: about 24 M parameters; `vocab_size` and `image_token_id` come from its tokenizer."""
        text_config = LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=384,
            intermediate_size=1024,
            num_hidden_layers=8,
            num_attention_heads=6,
            num_key_value_heads=6,
            max_position_embeddings=2048,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
        )
        fields: dict[str, Any] = dict(
            text_config=text_config,
            # Short-sighted on purpose: 6 x 6 image tokens of a thumbnail. On drawn scenes sharper eyes leave little for
            # the experts to add, and cost four times the tokens.
            vision_config=MoAIVisionConfig(image_size=48, patch_size=8, feature_level=2, hidden_size=128),
            image_token_id=image_token_id,
            compressor_neighborhood=9,
            mixer_layers=[1, 3, 5, 7],
            plora_rank=16,
            plora_alpha=16,
            tie_word_embeddings=True,
        )
        return cls(**(fields | overrides))

    @classmethod
    def moai_7b(cls, **overrides) -> "MoAIConfig":
        """The geometry of the released MoAI-7B (arXiv 2403.07508): 8.87 B parameters."""
        text_config = LlamaConfig(
            vocab_size=92544,
            hidden_size=4096,
            intermediate_size=14336,
            num_hidden_layers=32,
            num_attention_heads=32,
            num_key_value_heads=8,
            max_position_embeddings=32768,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            pad_token_id=2,
            bos_token_id=1,
            eos_token_id=2,
        )
        clip = dict(
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=24,
            num_attention_heads=16,
            patch_size=14,
            image_size=490,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-5,
        )
        vision_config = MoAIVisionConfig(
            encoder="clip", name="", image_size=490, patch_size=14, hidden_size=1024, clip=clip
        )
        fields: dict[str, Any] = dict(
            text_config=text_config,
            vision_config=vision_config,
            image_token_id=92544,
            compressor_positions="none",
            mixer_layers=[7, 15, 23, 31],
            plora_rank=256,
            plora_alpha=256,
            legacy_color_map=True,
        )
        return cls(**(fields | overrides))
