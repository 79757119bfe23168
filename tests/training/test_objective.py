"""The head's losses in pieces are what they are in one."""

import copy

import pytest
import torch
from torch import nn

from moai.models.modeling import MoAIForConditionalGeneration
from moai.training.experiment import Stage
from moai.training.objective import MoAIObjective, Transcriber, next_token_losses, weighted_cross_entropy
from tests.conftest import opened, tiny_config


@pytest.mark.parametrize("most", [7 * 5, 7, 1])
def test_long_rows_are_scored_in_pieces(most):
    torch.manual_seed(0)
    states = torch.randn(3, 11, 4)
    labels = torch.randint(0, 7, (3, 11))
    labels[torch.rand(3, 11) < 0.5] = -100
    weights = torch.rand(3, 11) * (torch.rand(3, 11) < 0.8)
    plain, pieces = (nn.Linear(4, 7) for _ in range(2))
    pieces.load_state_dict(copy.deepcopy(plain.state_dict()))
    seen = []
    pieces.register_forward_hook(lambda module, args, output: seen.append(output.numel()))
    one, other = states.clone().requires_grad_(), states.clone().requires_grad_()
    whole = weighted_cross_entropy(plain(one), labels, weights) * weights[:, 1:].sum()
    whole.backward()
    total = next_token_losses(pieces, 7, other, labels, weights, most)
    total.backward()
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(other.grad, one.grad)
    torch.testing.assert_close(pieces.weight.grad, plain.weight.grad)
    # Where nothing is to be said, or all of it weighs nothing, no logits are made.
    assert max(seen) <= max(most, 7) and sum(seen) // 2 == 7 * int(((labels != -100) & (weights != 0))[:, 1:].sum())


def test_nothing_to_say():
    head, states = nn.Linear(4, 7), torch.randn(1, 5, 4, requires_grad=True)
    total = next_token_losses(head, 7, states, torch.full((1, 5), -100), torch.ones(1, 5))
    total.backward()
    assert total == 0 and not states.grad.any()


@pytest.mark.parametrize("parts", [1, 3])
def test_words_are_written_back_from_their_own_part(processor, inputs, parts):
    torch.manual_seed(0)
    model = opened(MoAIForConditionalGeneration(tiny_config(compressor_parts=parts)))
    objective = MoAIObjective(model, processor, Stage(["compressor"], 1e-3, 1, 1, [], transcribe_weight=1.0))
    words = {name: inputs[name] for name in ("aux_input_ids", "aux_attention_mask")}
    aux = model.encode(**words)["aux_tokens"].detach().requires_grad_()
    losses = objective.transcript_losses(words, aux)
    assert losses.sum() > 0
    # The first of seven words stands in the first part, whose tokens alone tell it.
    first = words["aux_input_ids"].clone()
    first[0, 0] += 1
    told = objective.transcript_losses(words | {"aux_input_ids": first}, aux)
    (change,) = torch.autograd.grad((told - losses).sum(), aux)
    touched = change.abs().sum(dim=-1) > 1e-6
    assert touched.tolist() == [[True] * 6 + [False] * 6 * (parts - 1), [False] * 6 * parts]


@torch.no_grad()
def test_padding_does_not_change_what_is_written_back():
    torch.manual_seed(0)
    transcriber = Transcriber(32).eval()
    aux, mask = torch.randn(2, 6, 32), torch.tensor([[1] * 5, [0] * 5]).bool()
    written = transcriber(aux, mask)
    assert written.isfinite().all()
    padded = transcriber(aux, torch.nn.functional.pad(mask, (0, 4)))
    torch.testing.assert_close(padded[:1, :5], written[:1])
