"""The training losses, as one module so that it can be compiled, wrapped for several GPUs and checkpointed."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from moai.models.compressor import codes_of_both_ends, in_parts
from moai.models.hosts import final_logits
from moai.models.inputs.image_processing import normalize_pixels
from moai.models.inputs.packing import turn_mask, turn_positions
from moai.models.modeling import IGNORED, MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.models.prompts import CHAT
from moai.models.sparse.balance import balance_loss
from moai.models.sparse.record import ExpertRecord, dropped, loads
from moai.training.stages import Stage
from perception.panoptic import voc_palette

PATCH_TEMPERATURE = 0.07
MOST_LOGITS = 2**28
"""Logits that are held at once: 1 GiB in fp32, and as much again for their gradients."""


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of next-token cross-entropies: logits (B, S, V), labels and weights (B, S), shifted in here."""
    total = next_token_losses(lambda states: states, logits.shape[-1], logits, labels, weights)
    return total / weights[:, 1:].sum().clamp(min=1.0)


def next_token_losses(
    head: Callable[[Tensor], Tensor],
    words: int,
    states: Tensor,
    labels: Tensor,
    weights: Tensor,
    most: int = MOST_LOGITS,
) -> Tensor:
    """`word_losses` of what comes next: states (B, S, D); labels and weights (B, S), shifted in here."""
    return word_losses(head, words, states[:, :-1], labels[:, 1:], weights[:, 1:], most)


def word_losses(
    head: Callable[[Tensor], Tensor],
    words: int,
    states: Tensor,
    labels: Tensor,
    weights: Tensor,
    most: int = MOST_LOGITS,
) -> Tensor:
    """Weighted sum of cross-entropies, with no more than `most` logits in memory at a time.

    head: states (N, D) -> logits (N, V) of V `words`; states: (B, S, D); labels and weights: (B, S). More logits than
    that are made in pieces, at the places that count alone, and once more in the backward pass.
    """
    states, labels, weights = states.flatten(0, 1), labels.flatten(), weights.flatten()

    def piece(states: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        losses = F.cross_entropy(head(states).float(), labels, ignore_index=IGNORED, reduction="none")
        return (losses * weights).sum()

    size = max(most // words, 1)
    # On an accelerator, finding the places has to wait for it.
    if not torch.compiler.is_compiling() and (states.device.type == "cpu" or len(states) > size):
        counting = ((labels != IGNORED) & (weights != 0)).nonzero().squeeze(1)
        states, labels, weights = (one.index_select(0, counting) for one in (states, labels, weights))
    if len(states) <= size:
        return piece(states, labels, weights)
    pieces = zip(states.split(size), labels.split(size), weights.split(size), strict=True)
    return torch.stack([checkpoint(piece, *one, use_reentrant=False) for one in pieces]).sum()  # type: ignore[misc]


def _cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over what is labelled: logits (B, N, C), labels (B, N)."""
    return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")


def totals_of(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the losses of a batch are divided by, each fp32 (): the weights of answers, labelled patches, words to write
    back, and batches, of whose balance the mean is taken."""
    counts = {
        "answers": lambda: batch["weights"][..., 1:].sum(),
        "patches": lambda: (batch["patch_labels"] != IGNORED).sum(),
        "transcript": lambda: batch["aux_attention_mask"].sum(),
        "balance": lambda: batch["input_ids"].new_ones(()),
    }
    needed = {
        "answers": "weights",
        "patches": "patch_labels",
        "transcript": "aux_attention_mask",
        "balance": "input_ids",
    }
    return {name: counted().float() for name, counted in counts.items() if needed[name] in batch}


def text_alone(batch: Mapping[str, Tensor]) -> bool:
    """Whether a batch has neither pictures nor experts' words."""
    return "aux_input_ids" not in batch and "pixels" not in batch


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

    def forward(self, aux: Tensor, mask: Tensor) -> Tensor:
        """aux: (B, L, D), mask: (B, N) bool of the words to write -> states (B, N, D)."""
        places = codes_of_both_ends(aux.new_empty(*mask.shape, aux.shape[-1]), mask)
        # Places of padding are not looked at, but for one where a text is empty: attention needs something to see.
        padding = ~mask
        padding[:, 0] = False
        return self.layers(self.query(places.to(aux.dtype)), aux, tgt_key_padding_mask=padding)


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
        self.model, self.processor = model, processor
        self.patch_weight = stage.patch_weight if class_names else 0.0
        self.transcribe_weight = stage.transcribe_weight
        weights = (stage.balance_weight, stage.device_balance_weight)
        self.balance = (*weights, stage.balance_devices) if model.config.sparse_experts and any(weights) else None
        self.bounded = bool(model.config.sparse_experts) and stage.capacity is not None
        self.pad = processor.tokenizer.pad_token_id
        if self.transcribe_weight:
            self.transcriber = Transcriber(model.config.text_config.hidden_size)
        self.legacy_color_map = processor.legacy_color_map
        self.statistics = (processor.image_mean, processor.image_std)
        # With a chat template, system texts may differ in length; a picture stands before every answer.
        shared = processor.prompt_style != CHAT
        self.prefix = len(processor.prefix_ids(with_image=True)) if shared else processor.num_image_tokens
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

    def forward(self, totals: Mapping[str, Tensor] | None = None, **batch: Tensor) -> dict[str, Tensor]:
        """Batch of samples of `moai.data.rows` -> `loss` and its parts, each a scalar.

        totals: what the losses are divided by where a step is more than this batch, as `totals_of`; by default the
        batch's own.
        """
        totals = totals_of(batch) if totals is None else totals
        if text_alone(batch):
            record = self.record_of(batch["input_ids"].flatten(0, -2))
            losses = self.text_losses(batch, record)
            told = {name: one / totals["balance"] for name, one in self.routing_losses(record).items()}
            loss = losses / totals["answers"].clamp(min=1.0) + told.get("balance", 0.0)
            return {"loss": loss} | {name: one.detach() for name, one in told.items()}
        encoded = self.encode(batch)
        parts = {}
        told = {}
        if "input_ids" in batch:
            record = self.record_of(batch["input_ids"].flatten(0, -2))
            parts["answers"] = (1.0, self.answer_losses(batch, encoded, record))
            told = self.routing_losses(record)
        if self.patch_weight:
            parts["patches"] = (self.patch_weight, self.patch_losses(encoded["image_embeds"], batch["patch_labels"]))
        if self.transcribe_weight:
            parts["transcript"] = (self.transcribe_weight, self.transcript_losses(batch, encoded["aux_tokens"]))
        means = {name: losses / totals[name].clamp(min=1.0) for name, (_, losses) in parts.items()}
        total = sum(weight * means[name] for name, (weight, _) in parts.items())
        means |= {name: one / totals["balance"] for name, one in told.items()}
        total = total + means.get("balance", 0.0)
        return {"loss": total} | {name: loss.detach() for name, loss in means.items()}

    def text_losses(self, batch: Mapping[str, Tensor], experts: ExpertRecord | None = None) -> Tensor:
        """Cross-entropies of text alone, (..., W), weighted and summed."""
        rows = {name: batch[name].flatten(0, -2) for name in ("input_ids", "labels", "weights")}
        states = self.states(input_ids=rows["input_ids"], experts=experts)
        return self.losses_of(states, rows["labels"], rows["weights"])

    def record_of(self, ids: Tensor) -> ExpertRecord | None:
        """What takes down the routers' choices about tokens (B, S), where their balance is a part of the loss or
        experts take no more than their capacity."""
        if self.balance is None and not self.bounded:
            return None
        return ExpertRecord(None if self.pad is None else ids != self.pad)

    def routing_losses(self, record: ExpertRecord | None) -> dict[str, Tensor]:
        """`balance`, as it is weighted; `busiest`, the largest share of a layer's choices that one expert got; and
        `dropped`, the share of all choices that experts had no room for. Only the first is a loss."""
        told: dict[str, Tensor] = {}
        if record is None:
            return told
        if self.balance is not None:
            told["balance"] = balance_loss(record, *self.balance)
            told["busiest"] = torch.stack([loads(routes).max() for routes in record.layers.values()]).max()
        if self.bounded:
            told["dropped"] = torch.stack([dropped(routes) for routes in record.layers.values()]).mean()
        return told

    def states(
        self,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        **inputs: Tensor | ExpertRecord | None,
    ) -> Tensor:
        """The decoder's last states (B, S, D); `inputs` as for the model's `fuse`."""
        embeds, fusion = self.model.fuse(**inputs)  # type: ignore[arg-type]
        return self.model.language_model(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=False,
            fusion=fusion,
        ).last_hidden_state

    def encode(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the model makes of the pictures and of the experts' words, once for each of P scenes."""
        pixels, maps = None, None
        if "pixels" in batch:
            pixels = normalize_pixels(batch["pixels"], False, *self.statistics)
        if "panoptic" in batch:
            colours = self.palette[batch["panoptic"].long()].permute(0, 3, 1, 2)
            maps = normalize_pixels(colours, self.legacy_color_map, *self.statistics)
        return self.model.encode(pixels, batch.get("aux_input_ids"), batch.get("aux_attention_mask"), maps)

    def answer_losses(
        self, batch: dict[str, Tensor], encoded: dict[str, Tensor], experts: ExpertRecord | None = None
    ) -> Tensor:
        """Cross-entropies of the answers, (P, Q, W) or packed (P, W), weighted and summed; a scene's rows share what is
        known of it."""
        fields = ("input_ids", "labels", "weights", "prompt_mask", "turn_ids")
        rows = {name: batch[name].flatten(0, -2) for name in fields if name in batch}
        ids, turns = rows["input_ids"], rows.get("turn_ids")
        repeats = len(ids) // len(batch["input_ids"])
        mask, positions = (None, None) if turns is None else (turn_mask(turns), turn_positions(turns))
        states = self.states(
            mask,
            positions,
            input_ids=ids,
            prompt_mask=rows["prompt_mask"],
            turn_ids=turns,
            experts=experts,
            **{name: states.repeat_interleave(repeats, dim=0) for name, states in encoded.items()},
        )
        # The head is the costliest part of so small a model; answers stand behind what all share.
        behind = (one[:, self.prefix :] for one in (states, rows["labels"], rows["weights"]))
        return self.losses_of(*behind)

    def losses_of(self, states: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """`next_token_losses` of the decoder's states."""
        text = self.model.config.text_config

        def head(states: Tensor) -> Tensor:
            return final_logits(self.model.lm_head(states), text)

        return next_token_losses(head, text.vocab_size, states, labels, weights)

    def generate(self, **inputs) -> Tensor:
        """As the model's `generate`; here, where a model that is split over processes is put together first."""
        return self.model.generate(**inputs)  # type: ignore[operator]

    def transcript_losses(self, batch: dict[str, Tensor], aux_tokens: Tensor) -> Tensor:
        """Cross-entropies, summed, of writing the experts' words back from the auxiliary tokens, part by part."""
        words, mask = batch["aux_input_ids"], batch["aux_attention_mask"].bool()
        if (parts := self.model.config.compressor_parts) > 1:
            words, mask = in_parts(words, mask, parts)
            aux_tokens = aux_tokens.unflatten(1, (parts, -1)).flatten(0, 1)
        written = self.transcriber(aux_tokens, mask)
        embeddings = self.model.get_input_embeddings().get_parameter("weight")
        labels = words.masked_fill(~mask, IGNORED)
        return word_losses(lambda states: states @ embeddings.T, len(embeddings), written, labels, mask.float())

    def patch_losses(self, image_embeds: Tensor, patch_labels: Tensor) -> Tensor:
        """Cross-entropies, summed, of what each image token (P, I, D) shows (P, I)."""
        words = self.class_words @ self.model.get_input_embeddings().weight.detach().float()
        tokens = F.normalize(image_embeds.float(), dim=-1)
        similarity = tokens @ F.normalize(words, dim=-1).T / PATCH_TEMPERATURE
        return _cross_entropies(similarity, patch_labels)
