"""The sizes of sparse layers, and which of them go together."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moai.models.configuration import MoAIConfig

ALIGNED = 8
"""Widths are multiples of this: in bf16, the grouped product reads rows of whole 16 bytes."""


def check_sparse(config: "MoAIConfig") -> None:
    """Raises ValueError with one sentence for sizes of sparse layers that cannot be; without any, all is well."""
    routed, layers = config.sparse_experts, config.text_config.num_hidden_layers
    if not routed:
        return
    if config.sparse_first >= layers:
        raise ValueError(
            f"sparse_first is {config.sparse_first}, but the decoder has layers 0 to {layers - 1}; nothing would be "
            "sparse"
        )
    least = {"sparse_experts": 1, "sparse_active": 1, "sparse_width": 1, "sparse_shared": 0, "sparse_first": 0}
    least |= {"sparse_routes": 0, "sparse_pruned": 0}
    for name, smallest in least.items():
        if getattr(config, name) < smallest:
            raise ValueError(f"{name} is {getattr(config, name)}, but must be at least {smallest}")
    routes = config.sparse_routes or routed
    if config.sparse_active > routes:
        raise ValueError(f"{config.sparse_active} of {routes} routed experts cannot be active")
    if routes < routed:
        raise ValueError(f"{routes} routes cannot lead to {routed} experts; there must be one at least for each")
    if config.sparse_width % ALIGNED:
        raise ValueError(
            f"expert width {config.sparse_width} is not a multiple of {ALIGNED}, which the grouped product needs"
        )
    if config.sparse_scaling <= 0:
        raise ValueError(f"sparse_scaling is {config.sparse_scaling}, but must be above 0")
