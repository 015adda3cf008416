"""How players learn, as options of a config: optimizer, attack, schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optax

from adv_rec.attacks import gradients
from adv_rec.experiments import attacks, options
from adv_rec.experiments.options import Config
from adv_rec.games.supervised import Schedule as StepSchedule
from adv_rec.games.supervised import start_at
from adv_rec.training.loop import Schedule


def attack_config() -> dict[str, Any]:
  """The options "attack" of a player that may be attacked in training."""
  return {
    "name": "none",  # none, fgm, fgsm, pgd, random or vat
    "form": "loss",  # of moved inputs, or "consistency" with clean ones
    "epsilon": 0.25,
    "relative": False,  # epsilon in median row norms
    "weight": 1.0,
    "start": 0.0,  # share of the epochs before it, plain
    "steps": 3,  # of pgd and vat
    "norm": "l2",  # of pgd and random
  }


def make_schedule(config: Config, steps_per_epoch: int) -> Schedule:
  """Epochs in steps; one compiled call an epoch."""
  return Schedule(
    steps=config.epochs * steps_per_epoch,
    dispatch=steps_per_epoch,
    evaluate=config.evaluate_every * steps_per_epoch,
    checkpoint=config.checkpoint_every * steps_per_epoch,
  )


def make_optimizer(
  config: Config, rate: optax.ScalarOrSchedule | None = None
) -> optax.GradientTransformation:
  """The optimizer of a config.

  Args:
    config: with "optimizer", "learning_rate" and "batch_size".
    rate: a schedule in place of the learning rate.

  Raises:
    ValueError: unknown name.
  """
  rate = config.learning_rate if rate is None else rate
  assert rate is not None
  if config.optimizer == "adagrad":
    # Losses are means, so gradients are 1 / batch_size of the sums that
    # Adagrad's usual start of 0.1 is meant for.
    start = 0.1 / config.batch_size**2
    return optax.adagrad(rate, start, eps=start * 1e-6)
  if config.optimizer == "adam":
    return optax.adam(rate)
  if config.optimizer == "sgd":
    return optax.sgd(rate)
  raise ValueError(
    f"config option optimizer={config.optimizer!r}: choose adagrad, adam or sgd"
  )


def make_attack(config: Config) -> gradients.Attack | None:
  """The attack of a config; None where its size is zero.

  Raises:
    ValueError: unknown name.
  """
  if config.name == "none" or config.epsilon == 0:
    return None
  size = config.epsilon
  if config.relative:
    size = gradients.relative(size)
  if config.name == "vat":
    return gradients.vat(size, config.steps)
  return attacks.by_name(config.name, config.steps, config.norm)(size)


def make_weight(config: Config, steps: int) -> float | StepSchedule:
  """The weight of the adversarial term: zero for a first share of the steps.

  Args:
    config: the options "attack".
    steps: of the whole run.
  """
  if config.weight and config.start:
    return start_at(round(config.start * steps), config.weight)
  return config.weight


def check_training(
  config: Config, forms: Sequence[str] = ("loss", "consistency")
) -> None:
  """Refuses bad options before the data is prepared, which takes longer."""
  options.at_least(
    1, config, "batch_size", "epochs", "checkpoint_every", "attack.steps"
  )
  options.at_least(
    0,
    config,
    "evaluate_every",
    "attack.epsilon",
    "attack.weight",
    "attack.start",
  )
  options.above_zero(config, "learning_rate")
  options.one_of(("adagrad", "adam", "sgd"), config, "optimizer")
  attack = config.attack
  options.one_of(
    ("none", "fgm", "fgsm", "pgd", "random", "vat"), config, "attack.name"
  )
  options.one_of(("l2", "linf"), config, "attack.norm")
  options.one_of(forms, config, "attack.form")
  if attack.name == "vat" and attack.form == "loss":
    raise ValueError(
      "config option attack.name='vat': it climbs a divergence; set"
      " attack.form=consistency, or choose fgm"
    )
  if attack.name in ("fgm", "fgsm") and attack.form == "consistency":
    raise ValueError(
      f"config option attack.name={attack.name!r}: a divergence has no gradient"
      " at the clean inputs; with attack.form=consistency choose vat, pgd or"
      " random"
    )
