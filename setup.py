"""Which packages a wheel holds: every room, and the recorded results (see pyproject.toml for all else)."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["deepid_lite", "deepid_lite.*"]), "deepid_lite.recorded"])
