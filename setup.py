"""What pyproject.toml cannot say: the presets of experts, which stand in `configs/`, are installed in `perception`."""

from setuptools import find_packages, setup

CONFIGS = {"perception.configs": "configs/experts"}

setup(
    packages=[*find_packages(include=["moai", "moai.*", "perception", "perception.*", "weights"]), *CONFIGS],
    package_dir=CONFIGS,
)
