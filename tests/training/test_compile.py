"""The training step can be compiled whole, and then trains what the plain step trains."""

import numpy as np
import pytest
import torch

from moai.data.rows import RowSizes
from moai.models.modeling import MoAIForConditionalGeneration
from moai.training.experiment import load_experiment
from moai.training.objective import MoAIObjective
from moai.training.run import compile_step, load_model
from moai.training.stages import freeze_all_but
from tests.data.drawn.samples import drawn_samples
from weights import NANO


@pytest.mark.slow
@pytest.mark.parametrize(("name", "backend"), [("bridge", "aot_eager"), ("gates", "eager")])
def test_the_whole_step_is_one_graph(monkeypatch, name, backend):
    stage = load_experiment(name)
    torch.manual_seed(0)
    model, processor = load_model(NANO)
    config = model.config
    config.text_config.num_hidden_layers, config.mixer_layers, config.compressor_depth = 3, [0, 2], 1
    model = MoAIForConditionalGeneration(config)
    freeze_all_but(model, (*stage.trains, "decoder"))
    source = drawn_samples(processor, RowSizes(questions=2, packed=100), windows=1, packed=stage.packed)
    samples = [source.sample(seed) for seed in range(2)]
    batch = {name: torch.from_numpy(np.stack([one[name] for one in samples])) for name in samples[0]}
    objective = MoAIObjective(model, processor, stage, source.class_names).train()

    def gradients() -> dict:
        objective.zero_grad()
        objective(**batch)["loss"].backward()
        return {name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None}

    plain = gradients()
    torch._dynamo.reset()
    # The graphs are what is tested here, once with that of the gradients, not the code generator, which takes minutes.
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda module, mode=None, **kw: compile_module(module, backend=backend, **kw)
    )
    compile_step(objective, "graphs")
    compiled = gradients()
    assert plain.keys() == compiled.keys() and any(name.startswith("model.mixers.2") for name in plain)
    for parameter_name, gradient in plain.items():
        torch.testing.assert_close(compiled[parameter_name], gradient, atol=1e-5, rtol=1e-3, msg=parameter_name)
