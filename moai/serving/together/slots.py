"""The caches of answers that are written side by side: each may come and go between any two steps."""

import torch
from torch import Tensor

from moai.inference.decoding import Bucket, bucket_length, bucket_rows
from moai.inference.generation import FastGeneration, Request
from moai.models.modeling import MoAIForConditionalGeneration


class Slots:
    """Up to `rows` (a power of two) conversations of one model, numbered from 0 without a gap.

    A prompt is read alone, in the last slot, so that it is read as if nothing were beside it; a step goes over as many
    slots as the next power of two of conversations. Not safe to call from several threads.
    """

    def __init__(self, model: MoAIForConditionalGeneration, rows: int):
        self.model, self.rows = model, bucket_rows(rows)
        self.tokens: list[int] = []
        """The last token of each conversation."""
        self._positions: list[int] = []
        self._fast = FastGeneration(model)
        self._decoder = self._fast.decoder
        self._decoder.prompts = 1
        self._length = 0
        self._told: Bucket | None = None  # that holds tokens and positions as they are here

    def __len__(self) -> int:
        return len(self.tokens)

    def read(self, request: Request) -> Tensor:
        """A new conversation, in the next slot; logits (V,) of its first token, which `tokens` has the best of."""
        prompt = request.inputs["input_ids"]
        self._make_room(bucket_length(prompt.shape[1] + request.max_new_tokens))
        whole = self._decoder.bucket(self.rows, self._length)
        logits = self._fast.begin(self.model, request, whole.part(self.rows - 1))
        self.tokens.append(int(whole.tokens[0]))
        self._positions.append(prompt.shape[1])
        self._copy(self.rows - 1, len(self) - 1)
        return logits[0]

    def step(self) -> Tensor:
        """One more token for each conversation: the best, in `tokens`; logits (N, V) that they were chosen from."""
        bucket = self._decoder.bucket(bucket_rows(len(self)), self._length)
        if self._told is not bucket:
            for there, values in ((bucket.tokens, self.tokens), (bucket.position, self._positions)):
                there.zero_()
                there[: len(self)].copy_(torch.tensor(values))
            self._told = bucket
        self._decoder.step(bucket)
        self.tokens = bucket.tokens[: len(self)].tolist()
        self._positions = [position + 1 for position in self._positions]
        return bucket.logits[: len(self)]

    def choose(self, slot: int, token: int) -> None:
        """Another token than the best one."""
        if self.tokens[slot] != token:
            self.tokens[slot], self._told = token, None

    def routes(self, slot: int, start: int) -> dict[int, Tensor]:
        """By sparse layer, the routes (1, N, K) that the tokens of a conversation took from the position `start` on."""
        whole, count = self._decoder.bucket(self.rows, self._length), self._positions[slot] - start
        return whole.routes_of(torch.tensor([start], device=whole.tokens.device), count, slot)

    def drop(self, slot: int) -> None:
        """Forgets a conversation; the last one takes its slot."""
        last = len(self) - 1
        self.tokens[slot], self._positions[slot] = self.tokens[last], self._positions[last]
        self.tokens.pop()
        self._positions.pop()
        if slot != last:
            self._copy(last, slot)
        self._told = None

    def _copy(self, source: int, target: int) -> None:
        self._told = None
        if source == target:
            return
        whole, length = self._decoder.bucket(self.rows, self._length), self._positions[target]
        for kept in whole.caches:
            kept[target, :, :length].copy_(kept[source, :, :length])

    def _make_room(self, length: int) -> None:
        """Caches for conversations of `length` tokens; those that are there move."""
        if length <= self._length and (len(self) or length == self._length):
            return
        kept: list[Tensor] = []
        if len(self):
            whole, used = self._decoder.bucket(self.rows, self._length), max(self._positions)
            kept = [one[: len(self), :, :used].clone() for one in whole.caches]
        self._length, self._told = length, None
        whole = self._decoder.bucket(self.rows, length)
        for old, new in zip(kept, whole.caches, strict=bool(kept)):
            new[: len(self), :, : old.shape[2]].copy_(old)
