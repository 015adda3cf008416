"""Recommenders: config -> experiment. A config names one of the builders."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np
import optax

from adv_rec.attacks import gradients as attacks
from adv_rec.data import batching
from adv_rec.data.dataset import Dataset, Pairs
from adv_rec.evaluation import diversity, ranking, ranking_metrics, robustness
from adv_rec.experiments.experiment import Experiment
from adv_rec.games import recommend as games
from adv_rec.games.supervised import start_at
from adv_rec.models import closed_form
from adv_rec.models.recommenders import (
  MatrixFactorization,
  padded,
)
from adv_rec.training.loop import Schedule
from adv_rec.types import Scorer, State

MAIN_METRIC = "ndcg@10"


def default_config() -> ml_collections.ConfigDict:
  """What all recommenders share: data, fit and evaluation."""
  return ml_collections.ConfigDict(
    {
      "name": "",
      "title": "",
      "experiment": "",
      "seed": 0,
      "dataset": "completejourney",
      "data": {
        "prepared": "",  # a directory made by scripts/prepare_data.py
        "path": "",  # own log (CSV or Parquet), or where the dataset lies
        "columns": "user=user,item=item,time=time",  # of an own log
        # The preparation; an empty value means the dataset's own default.
        "feedback": "",
        "min_value": "",
        "k_core": "",
        "split": "",
        "test_fraction": "",
        "validation_fraction": "",
        "seed": 0,
      },
      # Fit on "train" and watch validation, or on "train+validation".
      "fit": "train",
      "evaluation": {
        "ks": (5, 10, 20, 50),
        "user_block": 256,
        "robustness": (),  # sizes in median row norms; empty: no curve
        "robustness_pgd_steps": 0,  # 0: fgm and random only
      },
    }
  )
