"""transformers' Trainer trains the model as it trains its own."""

import torch
from transformers import Trainer, TrainingArguments

from tests.conftest import single


def rows(inputs) -> list[dict]:
    """Four samples with 1 to 4 scored tokens each."""
    made = []
    for index in range(4):
        row = {name: value[0] for name, value in single(inputs, 0).items()}
        row["labels"] = row["input_ids"].clone()
        row["labels"][: -1 - index] = -100
        made.append(row)
    return made


def trained(model, inputs, folder, size: int, steps: int) -> tuple[float, dict]:
    """Loss and gradients of one step of the optimiser over `steps` batches of `size` rows."""
    gradients: dict[str, torch.Tensor] = {}

    class Watching(torch.optim.SGD):
        def step(self, closure=None):
            gradients.update((name, p.grad.clone()) for name, p in model.named_parameters() if p.grad is not None)

    settings = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=size, gradient_accumulation_steps=steps, max_steps=1,
        logging_steps=1, report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True, max_grad_norm=0.0,
    )  # fmt: skip
    optimizer = Watching(model.parameters(), lr=0.0)
    trainer = Trainer(model, settings, train_dataset=rows(inputs), optimizers=(optimizer, None))
    model.zero_grad()
    model.vision.requires_grad_(False)
    model.vision.train = lambda mode=True: model.vision  # batch norms would tell a batch from its rows
    loss = trainer.train().training_loss
    return loss, gradients


def test_accumulated_gradients_are_those_of_one_batch(model, inputs, tmp_path):
    whole, expected = trained(model, inputs, tmp_path, size=4, steps=1)
    loss, gradients = trained(model, inputs, tmp_path, size=1, steps=4)
    assert abs(loss - whole) < 1e-4 * whole
    assert expected.keys() == gradients.keys() and any(gradient.any() for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-3, msg=name)
