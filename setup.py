"""What pyproject.toml cannot say: which packages get experiments, presets and pictures that stand outside of them."""

from setuptools import find_packages, setup

OUTSIDE = {
    "moai.configs": "configs/train",
    "moai.examples": "examples/photographs",
    "perception.configs": "configs/experts",
}

setup(
    packages=[*find_packages(include=["moai", "moai.*", "perception", "perception.*", "weights"]), *OUTSIDE],
    package_dir=OUTSIDE,
)
