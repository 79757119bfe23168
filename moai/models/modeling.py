"""MoAIForConditionalGeneration: picture, auxiliary tokens and language fused inside a decoder language model."""

import os

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, Cache, PreTrainedModel
from transformers.utils import can_return_tuple

from moai.models.adapters.lora import TakesAdapters, inject_lora
from moai.models.compressor import MoAICompressor
from moai.models.configuration import MoAIConfig, MoAIVisionConfig
from moai.models.fusion import Fusion, GateRecord, add_fusion
from moai.models.generation import MoAIGenerationMixin, past_key_values_length
from moai.models.hosts import check_decoder, final_logits
from moai.models.initialization import fill_compressor, fill_encoder, fill_sparse, start_branches
from moai.models.inputs.placing import check_image_tokens, place_pictures, rows_with_pictures
from moai.models.mixer import ROUTINGS, MoAIMixer
from moai.models.outputs import MoAIOutput
from moai.models.plora import add_partial_lora
from moai.models.sparse.layer import add_sparse_layers
from moai.models.sparse.record import ExpertRecord
from moai.models.vision import build_encoder, build_projector

IGNORED = -100


class MoAIForConditionalGeneration(TakesAdapters, MoAIGenerationMixin, PreTrainedModel):
    """A decoder language model that sees a picture and reads what external vision experts said about it.

    `routing` (one of `moai.models.mixer.ROUTINGS`) chooses how the attention blocks of each mixer are weighted,
    in passes that begin afterwards. `taught_from` names the language model whose weights the decoder had before it was
    taught about pictures, where that is known.
    """

    config_class = MoAIConfig
    config: MoAIConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("image", "text")  # type: ignore[assignment]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _skip_keys_device_placement = ("past_key_values",)  # type: ignore[assignment]
    _tp_plan = {"lm_head": "colwise_gather_output"}  # noqa: RUF012
    _is_made = False
    taught_from: str | None = None
    _tied_weights_keys = {"lm_head.weight": "language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: MoAIConfig):
        super().__init__(config)
        text = config.text_config
        self.vision = build_encoder(config.vision_config)
        self.projector = build_projector(config.vision_config.hidden_size, text.hidden_size)
        if config.sparse_experts:
            # A dense family refuses to be told how experts multiply; ours are told by the whole model's configuration.
            text._experts_implementation = "eager"
        self.language_model = AutoModel.from_config(text, trust_remote_code=False)
        check_decoder(self.language_model, f"a {text.model_type} model")
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=config.head_bias)
        self.compressor = MoAICompressor(
            text.hidden_size,
            config.compressor_num_latents,
            config.compressor_depth,
            config.compressor_heads,
            config.compressor_dim_head,
            config.compressor_ff_mult,
            config.compressor_positions,
            config.compressor_neighborhood,
            config.compressor_parts,
        )
        self.mixers = nn.ModuleDict(
            {
                str(layer): MoAIMixer(text.hidden_size, config.mixer_heads, config.mixer_rank)
                for layer in config.mixer_layers or ()
            }
        )
        self._routing = "gates"
        add_sparse_layers(self.language_model.layers, config)
        if config.plora_rank:
            add_partial_lora(self.language_model.layers, config.plora_rank, config.plora_alpha)
        add_fusion(self.language_model.layers, list(self.mixers))
        self.post_init()
        self._is_made = True
        if config.lora:
            inject_lora(self)
        # What no two devices share, by the names of classes.
        whole = {type(module).__name__ for module in (*self.language_model.layers, *self.mixers.values())}
        self._no_split_modules = set(self._no_split_modules or ()) | whole

    def _init_weights(self, module: nn.Module) -> None:
        # timm initialises its own backbones; the generic rule would undo that.
        if module not in self._vision_modules:
            super()._init_weights(module)

    def initialize_weights(self) -> None:
        """Gives whatever is new its first values; see `moai.models.initialization`."""
        new = [module for module in self.modules() if not getattr(module, "_is_hf_initialized", False)]
        super().initialize_weights()
        std = getattr(self.config.text_config, "initializer_range", 0.02)
        start_branches(new, std)
        fill_sparse(new, std)
        if self._is_made and self.vision in new:
            fill_compressor(new)
            fill_encoder(self.vision, self.config.vision_config)

    @property
    def _vision_modules(self) -> set[nn.Module]:
        return set(self.vision.modules()) if self.config.vision_config.encoder == "timm" else set()

    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        return True  # transformers looks for its decorator in this file; sparse layers ask by themselves

    @property
    def routing(self) -> str:
        """How mixers weigh their blocks: "gates", "random" or "uniform"."""
        return self._routing

    @routing.setter
    def routing(self, value: str) -> None:
        if value not in ROUTINGS:
            raise ValueError(f"unknown routing {value!r}; allowed are {', '.join(ROUTINGS)}")
        self._routing = value

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.embed_tokens = value

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def image_features(self, pixel_values: Tensor) -> Tensor:
        """Image tokens (B, I, D) of normalised pictures (B, 3, H, W)."""
        return self.projector(self.vision(pixel_values.to(self.projector[0].weight.dtype)))  # type: ignore[arg-type]

    def compress(
        self, aux_input_ids: Tensor | None, aux_attention_mask: Tensor | None, map_embeds: Tensor | None
    ) -> Tensor | None:
        """Auxiliary tokens (B, L, D) of a verbalised scene and its colour map; None when both are missing.

        aux_input_ids: (B, N) padded on the right, aux_attention_mask: (B, N), map_embeds: (B, I, D) image tokens of
        the colour map.
        """
        words = None
        if aux_input_ids is not None and aux_input_ids.shape[1]:
            words = self.get_input_embeddings()(aux_input_ids)
        if words is None and map_embeds is None:
            return None
        return self.compressor(words, aux_attention_mask, map_embeds)

    def encode(
        self,
        pixel_values: Tensor | None = None,
        aux_input_ids: Tensor | None = None,
        aux_attention_mask: Tensor | None = None,
        panoptic_pixel_values: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """What of a picture does not depend on the question: `image_embeds` (B, I, D) and `aux_tokens` (B, L, D).

        Pass the result to `forward` or `generate` in place of the pictures to ask several questions about one.
        """
        encoded = {}
        # Picture and colour map go through the encoder as one batch.
        seen = [pixels for pixels in (pixel_values, panoptic_pixel_values) if pixels is not None]
        features = list(self.image_features(torch.cat(seen)).split([len(one) for one in seen])) if seen else []
        if pixel_values is not None:
            encoded["image_embeds"] = features.pop(0)
        aux = self.compress(aux_input_ids, aux_attention_mask, features[0] if features else None)
        if aux is not None:
            encoded["aux_tokens"] = aux
        return encoded

    def _num_features(self, pixel_values: Tensor | None, image_embeds: Tensor | None) -> int:
        if pixel_values is None:
            return 0 if image_embeds is None else image_embeds.shape[1]
        patch = self.config.vision_config.patch_size
        return (pixel_values.shape[-2] // patch) * (pixel_values.shape[-1] // patch)

    def _fusion(
        self,
        image_mask: Tensor,
        attention_mask: Tensor | None,
        prompt_mask: Tensor | None,
        num_image: int,
        rows: Tensor | None,
        aux: Tensor | None,
        turn_ids: Tensor | None,
        gates: GateRecord | None,
        experts: ExpertRecord | None,
    ) -> Fusion | None:
        if not len(self.mixers):
            aux = None
        token_mask = None if experts is None else experts.token_mask
        if token_mask is None and attention_mask is not None and attention_mask.shape == image_mask.shape:
            token_mask = attention_mask.bool()
        if aux is None:
            if not num_image and experts is None:
                return None
            return Fusion(image_mask if num_image else None, experts=experts, token_mask=token_mask)
        language = image_mask.logical_not()
        if prompt_mask is not None:
            language = language & prompt_mask.bool()
        if attention_mask is not None and attention_mask.ndim == 2:
            language = language & attention_mask.bool()
        mixed_mask = image_mask
        if rows is not None:
            mixed_mask, language = image_mask[rows], language[rows]
            turn_ids = None if turn_ids is None else turn_ids[rows]
        # A stable sort brings image tokens to the front without asking the device how many there are.
        order = torch.argsort(mixed_mask.logical_not().to(torch.uint8), dim=1, stable=True)
        language_index = order[:, num_image:]
        return Fusion(
            image_mask=image_mask if num_image else None,
            aux=aux.to(image_mask.device),
            rows=rows,
            image_index=order[:, :num_image] if num_image else None,
            language_index=language_index,
            language_mask=language.gather(1, language_index),
            language_turns=None if turn_ids is None else turn_ids.gather(1, language_index),
            mixers=self.mixers,
            routing=self.routing,
            gates=gates,
            experts=experts,
            token_mask=token_mask,
        )

    def fuse(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        aux_input_ids: Tensor | None = None,
        aux_attention_mask: Tensor | None = None,
        panoptic_pixel_values: Tensor | None = None,
        prompt_mask: Tensor | None = None,
        image_embeds: Tensor | None = None,
        aux_tokens: Tensor | None = None,
        turn_ids: Tensor | None = None,
        gates: GateRecord | None = None,
        inputs_embeds: Tensor | None = None,
        experts: ExpertRecord | None = None,
        check: bool = True,
    ) -> tuple[Tensor, Fusion | None]:
        """The decoder's input (B, S, D) with the pictures in their places, and what goes with it to its layers.

        Inputs as for `forward`, `prompt_mask` defaulting to everything. With `check`, image tokens are counted.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("the model reads either input_ids or inputs_embeds; give exactly one of them")
        image_mask = self._image_mask(input_ids, inputs_embeds)
        seen = pixel_values if image_embeds is None else image_embeds
        pictures = len(image_mask) if seen is None else len(seen)
        if check:
            # Before the encoders have work, as an accelerator may have to finish what it has begun.
            check_image_tokens(image_mask, self._num_features(pixel_values, image_embeds), pictures)
        encoded = self.encode(pixel_values, aux_input_ids, aux_attention_mask, panoptic_pixel_values)
        image_embeds = encoded.get("image_embeds", image_embeds)
        aux_tokens = encoded.get("aux_tokens") if aux_tokens is None else aux_tokens
        if aux_tokens is not None and len(aux_tokens) != pictures:
            of = "rows" if seen is None else "pictures"
            raise ValueError(f"the experts speak of {len(aux_tokens)} pictures, but there are {pictures} {of}")
        rows = rows_with_pictures(image_mask, pictures)
        num_image = 0 if image_embeds is None else image_embeds.shape[1]
        fusion = self._fusion(
            image_mask, attention_mask, prompt_mask, num_image, rows, aux_tokens, turn_ids, gates, experts
        )
        if input_ids is not None:
            # The image token may lie outside the embedding table; it is looked up without a picture alone.
            words = input_ids if image_embeds is None else input_ids.masked_fill(image_mask, 0)
            inputs_embeds = self.get_input_embeddings()(words)
        assert inputs_embeds is not None
        if image_embeds is not None:
            inputs_embeds = place_pictures(inputs_embeds, image_mask, image_embeds, rows)
        return inputs_embeds, fusion

    def check_pictures(
        self, input_ids: Tensor, pixel_values: Tensor | None = None, image_embeds: Tensor | None = None
    ) -> None:
        """What `fuse` checks, for those who encode pictures before it: raises ValueError unless rows have an image
        token for each feature of their picture."""
        seen = pixel_values if image_embeds is None else image_embeds
        image_mask, pictures = self._image_mask(input_ids, None), None if seen is None else len(seen)
        check_image_tokens(image_mask, self._num_features(pixel_values, image_embeds), pictures)

    def _image_mask(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        token, table = self.config.image_token_id, self.get_input_embeddings().get_parameter("weight")
        if input_ids is not None:
            return input_ids == token
        assert inputs_embeds is not None
        if token >= len(table):
            return torch.zeros(inputs_embeds.shape[:2], dtype=torch.bool, device=inputs_embeds.device)
        return inputs_embeds.eq(table[token].to(inputs_embeds)).all(dim=-1)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        aux_input_ids: Tensor | None = None,
        aux_attention_mask: Tensor | None = None,
        panoptic_pixel_values: Tensor | None = None,
        labels: Tensor | None = None,
        prompt_mask: Tensor | None = None,
        image_embeds: Tensor | None = None,
        aux_tokens: Tensor | None = None,
        turn_ids: Tensor | None = None,
        gates: GateRecord | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        inputs_embeds: Tensor | None = None,
        experts: ExpertRecord | None = None,
        **kwargs,
    ) -> MoAIOutput:
        """Logits (B, S, vocabulary) and, with `labels`, the loss.

        input_ids: (B, S) int64 with one image token for each image feature; attention_mask: (B, S), 1 = real token
        (a mask of another shape is for the decoder alone; `prompt_mask` must then leave out padding).
        pixel_values: (B, 3, H, W) normalised picture; aux_input_ids / aux_attention_mask: (B, N) verbalised scene,
        padded on the right; panoptic_pixel_values: (B, 3, H, W) normalised colour map; `image_embeds` (B, I, D) and
        `aux_tokens` (B, L, D) from `encode` stand in for those four. Without any auxiliary input the mixers rest and
        the plain backbone answers. Where some rows have no picture, and so no image tokens, all of these are those of
        the P rows that have one, in order.
        inputs_embeds: (B, S, D) in place of `input_ids`; image tokens are then known by the image token's embedding,
        and a model whose image token has none takes no pictures with it.
        labels: (B, S), -100 = not scored; prompt_mask: (B, S), 1 = prompt token that mixers may see, by default what
        `labels` leaves out, or everything without labels: who scores an answer that stands behind its prompt gives one
        of the two, or the mixers read the answer before it is said.
        turn_ids: (B, S), for training on several turns behind one picture: the turn of each token, 0 = shared by all.
        It is for the mixers; `moai.models.inputs.packing` has the decoder's mask and positions that go with it.
        gates: takes down whom the mixers listened to; experts: which experts the routers of sparse layers chose.
        kwargs: for the decoder and the loss function: `output_attentions` and `output_hidden_states`; `return_dict`,
        False for a tuple; `num_items_in_batch`, by which the sum over tokens is divided in place of their number.
        Raises ValueError when the image tokens in `input_ids` do not match the picture.
        """
        if prompt_mask is None and labels is not None:
            prompt_mask = labels == IGNORED
        inputs_embeds, fusion = self.fuse(
            input_ids,
            attention_mask,
            pixel_values,
            aux_input_ids,
            aux_attention_mask,
            panoptic_pixel_values,
            prompt_mask,
            image_embeds,
            aux_tokens,
            turn_ids,
            gates,
            inputs_embeds,
            experts,
            check=past_key_values_length(past_key_values) == 0,
        )
        for name in ("output_attentions", "output_hidden_states"):
            kwargs.setdefault(name, getattr(self.config, name))
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            fusion=fusion,
            **kwargs,
        )
        hidden_states = outputs.last_hidden_state
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = final_logits(self.lm_head(hidden_states[:, kept]), self.config.text_config)
        loss = None
        if labels is not None:
            vocab_size = self.config.text_config.vocab_size
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=vocab_size, **kwargs)
        return MoAIOutput(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


# The threads of torch's pool are not forked: what a child gave them to do would never be done.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

AutoConfig.register("moai_vision", MoAIVisionConfig, exist_ok=True)
AutoConfig.register("moai", MoAIConfig, exist_ok=True)
AutoModelForImageTextToText.register(MoAIConfig, MoAIForConditionalGeneration, exist_ok=True)
