"""The training losses, as one module so that it can be compiled, wrapped for several GPUs and checkpointed."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moai.data.packing import turn_mask, turn_positions
from moai.models.compressor import codes_of_both_ends
from moai.models.modeling import IGNORED, MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor, normalize_pixels
from moai.training.stages import Stage
from perception.panoptic import voc_palette

PATCH_TEMPERATURE = 0.07


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of next-token cross-entropies: logits (B, S, V), labels and weights (B, S), shifted in here."""
    losses = F.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="none"
    )
    weights = weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum().clamp(min=1.0)


def _mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over what is labelled, 0 where nothing is: logits (B, N, C), labels (B, N)."""
    losses = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return losses / (labels != IGNORED).sum().clamp(min=1)


class Transcriber(nn.Module):
    """Writes the verbalised scene back from the auxiliary tokens alone: a dense signal for the compressor.

    Used in training only. Queries are positions; the words are scored against the model's word embeddings.
    """

    def __init__(self, dim: int, depth: int = 2):
        super().__init__()
        layer = nn.TransformerDecoderLayer(
            dim, max(dim // 64, 1), 2 * dim, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.query = nn.Linear(dim, dim)
        self.layers = nn.TransformerDecoder(layer, depth, norm=nn.LayerNorm(dim))

    def forward(self, aux: Tensor, mask: Tensor, embeddings: Tensor) -> Tensor:
        """aux: (B, L, D), mask: (B, N) bool of the words to write, embeddings: (V, D) -> logits (B, N, V)."""
        places = codes_of_both_ends(aux.new_empty(*mask.shape, aux.shape[-1]), mask)
        queries = self.query(places.to(aux.dtype))
        return self.layers(queries, aux) @ embeddings.T


class MoAIObjective(nn.Module):
    """Answers' cross-entropy, plus a per-patch class loss that ties image tokens to the words for what they show.

    The patch loss compares each image token with the word embeddings of the class names by cosine similarity, so that
    a decoder which finds things among words finds them among image tokens. `class_names` are those of the source's
    patch labels; without any there is no such loss.
    """

    def __init__(
        self,
        model: MoAIForConditionalGeneration,
        processor: MoAIProcessor,
        stage: Stage,
        class_names: Sequence[str] = (),
    ):
        super().__init__()
        self.model = model
        self.patch_weight = stage.patch_weight if class_names else 0.0
        self.transcribe_weight = stage.transcribe_weight
        if self.transcribe_weight:
            self.transcriber = Transcriber(model.config.text_config.hidden_size)
        self.legacy_color_map = processor.legacy_color_map
        self.statistics = (processor.image_mean, processor.image_std)
        self.prefix = len(processor.prefix_ids(with_image=True))
        names = [processor.encode_text(f" {name}") for name in class_names]
        members = torch.zeros(len(names), model.config.text_config.vocab_size)
        for row, ids in enumerate(names):
            members[row, ids] = 1 / len(ids)
        self.register_buffer("class_words", members, persistent=False)
        self.register_buffer("palette", torch.from_numpy(voc_palette()), persistent=False)

    def train(self, mode: bool = True) -> "MoAIObjective":
        """Training mode, except that a frozen vision encoder keeps its normalisation statistics."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.model.vision.parameters()):
            self.model.vision.eval()
        return self

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """Batch of samples of `moai.data.rows` -> `loss` and its parts, each a scalar."""
        if "aux_input_ids" not in batch and "pixels" not in batch:  # text alone
            rows = {name: values.flatten(0, 1) for name, values in batch.items()}
            logits = self.model(input_ids=rows["input_ids"], use_cache=False).logits
            return {"loss": weighted_cross_entropy(logits, rows["labels"], rows["weights"])}
        encoded = self.encode(batch)
        parts = {}
        if "input_ids" in batch:
            parts["answers"] = (1.0, self.answer_loss(batch, encoded))
        if self.patch_weight:
            parts["patches"] = (self.patch_weight, self.patch_loss(encoded["image_embeds"], batch["patch_labels"]))
        if self.transcribe_weight:
            parts["transcript"] = (self.transcribe_weight, self.transcript_loss(batch, encoded["aux_tokens"]))
        total = sum(weight * loss for weight, loss in parts.values())
        return {"loss": total} | {name: loss.detach() for name, (_, loss) in parts.items()}

    def encode(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the model makes of the pictures and of the experts' words, once for each of P scenes."""
        pixels, maps = None, None
        if "pixels" in batch:
            pixels = normalize_pixels(batch["pixels"], False, *self.statistics)
        if "panoptic" in batch:
            colours = self.palette[batch["panoptic"].long()].permute(0, 3, 1, 2)
            maps = normalize_pixels(colours, self.legacy_color_map, *self.statistics)
        return self.model.encode(pixels, batch.get("aux_input_ids"), batch.get("aux_attention_mask"), maps)

    def answer_loss(self, batch: dict[str, Tensor], encoded: dict[str, Tensor]) -> Tensor:
        """Cross-entropy of the answers, (P, Q, W) or packed (P, W); a scene's rows share what is known of it."""
        fields = ("input_ids", "labels", "weights", "prompt_mask", "turn_ids")
        rows = {name: batch[name].flatten(0, -2) for name in fields if name in batch}
        ids, turns = rows["input_ids"], rows.get("turn_ids")
        repeats, width = len(ids) // len(batch["input_ids"]), ids.shape[1]
        prefix = self.prefix
        mask, positions = (None, None) if turns is None else (turn_mask(turns), turn_positions(turns))
        # The head is the costliest part of so small a model; answers stand behind what all share.
        logits = self.model(
            input_ids=ids,
            attention_mask=mask,
            prompt_mask=rows["prompt_mask"],
            position_ids=positions,
            turn_ids=turns,
            use_cache=False,
            logits_to_keep=width - prefix,
            **{name: states.repeat_interleave(repeats, dim=0) for name, states in encoded.items()},
        ).logits
        return weighted_cross_entropy(logits, rows["labels"][:, prefix:], rows["weights"][:, prefix:])

    def transcript_loss(self, batch: dict[str, Tensor], aux_tokens: Tensor) -> Tensor:
        """Cross-entropy of writing the experts' words back from the auxiliary tokens; 0 where none was said."""
        words, mask = batch["aux_input_ids"], batch["aux_attention_mask"].bool()
        written = self.transcriber(aux_tokens, mask, self.model.get_input_embeddings().weight)
        return _mean_cross_entropy(written, words.masked_fill(~mask, IGNORED))

    def patch_loss(self, image_embeds: Tensor, patch_labels: Tensor) -> Tensor:
        """Cross-entropy of what each image token (P, I, D) shows (P, I); 0 where no patch is labelled."""
        words = self.class_words @ self.model.get_input_embeddings().weight.detach().float()
        tokens = F.normalize(image_embeds.float(), dim=-1)
        similarity = tokens @ F.normalize(words, dim=-1).T / PATCH_TEMPERATURE
        return _mean_cross_entropy(similarity, patch_labels)
