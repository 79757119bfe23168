import torch
from pytest import fixture

from moai.models.modeling import MoAIForConditionalGeneration
from tests.conftest import opened, tiny_config

SPARSE = dict(sparse_experts=6, sparse_shared=1, sparse_active=2, sparse_width=16)


@fixture
def sparse_model():
    """A tiny random model whose layers 1 and 2 are sparse: one shared and six routed experts, two of them active."""
    torch.manual_seed(0)
    return opened(MoAIForConditionalGeneration(tiny_config(**SPARSE))).eval()
