"""What pyproject.toml cannot say: experiments and presets, which stand in `configs/`, are installed in the packages."""

from setuptools import find_packages, setup

CONFIGS = {"moai.configs": "configs/train", "perception.configs": "configs/experts"}

setup(
    packages=[*find_packages(include=["moai", "moai.*", "perception", "perception.*", "weights"]), *CONFIGS],
    package_dir=CONFIGS,
)
