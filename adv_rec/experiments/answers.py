"""What a trained predictor answers, left alone or under attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.attacks import gradients
from adv_rec.experiments import attacks
from adv_rec.experiments.options import Config
from adv_rec.losses import pointwise
from adv_rec.types import Batch, Params, Predictor

Rows = Mapping[str, np.ndarray]  # feature -> [N, ...], and "label" [N]


class Apply:
  """A predictor's logits on rows in memory, attacked or not; compiled once."""

  def __init__(self, predictor: Predictor, config: Config):
    """Sets up the compiled functions.

    Args:
      predictor: what answers.
      config: "seed", "loss", "attack.whole" and "evaluation.block".
    """
    self._predictor = predictor
    self._loss = getattr(pointwise, config.loss)
    self._whole = config.attack.whole
    self._block = config.evaluation.block
    self._key = jax.random.key(config.seed)
    self._clean = jax.jit(self._answer)

  def logits(self, params: Params, rows: Rows) -> np.ndarray:
    """[N] or [N, C], without dropout."""
    return _in_blocks(
      lambda batch, _: self._clean(params, batch), rows, self._block
    )

  def under_attack(
    self,
    params: Params,
    rows: Rows,
    kinds: Mapping[str, attacks.MakeAttack],
    sizes: Sequence[float],
    source: Params | None = None,
  ) -> list[dict[str, Any]]:
    """Logits while each example is attacked by itself.

    Args:
      params: of the model that answers.
      rows: with "label", which the attacker wants to be missed.
      kinds: name -> size -> attack.
      sizes: in median row norms of the inputs of a block of rows; 0 is added.
      source: parameters of another training of the same model, on whose
        gradients the perturbations are made (transfer); None: the same one.

    Returns:
      A list of {"attack", "relative_epsilon", "epsilon", "logits"}.
    """
    source = params if source is None else source
    first = {name: jnp.asarray(x[: self._block]) for name, x in rows.items()}
    inputs = self._predictor.lookup(source, first)
    if self._whole:
      inputs = jax.tree.map(lambda x: x.reshape(len(x), -1), inputs)
    median = jax.device_get(gradients.relative(1.0)(inputs))
    clean, found = self.logits(params, rows), []
    for name, make in kinds.items():
      found.append(_row(name, 0.0, median, clean))
      # The radii are an argument: one program for all sizes of an attack.
      moved = jax.jit(self._attacked(make))
      for size in sorted(set(sizes) - {0.0}):
        radii = jax.tree.map(lambda r, size=size: size * r, median)

        def answer(batch, key, moved=moved, radii=radii):
          return moved(params, source, batch, radii, key)

        logits = _in_blocks(answer, rows, self._block, self._key)
        found.append(_row(name, size, median, logits))
    return found

  def _answer(self, params: Params, batch: Batch) -> jax.Array:
    inputs = self._predictor.lookup(params, batch)
    return self._predictor.logits(params, batch, inputs, None)

  def _attacked(self, make: attacks.MakeAttack) -> Callable:
    predictor, loss = self._predictor, self._loss

    def moved(params, source, batch, radii, key):
      attack = make(lambda _: radii)
      attack = gradients.whole(attack) if self._whole else attack

      def objective(inputs, index):
        example = {name: x[index][None] for name, x in batch.items()}
        logits = predictor.logits(source, example, inputs, None)
        return loss(logits, example["label"])[0]

      keys = jax.random.split(key, len(batch["label"]))
      delta = gradients.each(
        attack, objective, predictor.lookup(source, batch), keys
      )
      inputs = jax.tree.map(jnp.add, predictor.lookup(params, batch), delta)
      return predictor.logits(params, batch, inputs, None)

    return moved


def _row(
  name: str, size: float, median: Any, logits: np.ndarray
) -> dict[str, Any]:
  leaves = jax.tree_util.tree_leaves_with_path(median)
  epsilon = {
    jax.tree_util.keystr(path, simple=True) or "input": size * float(radius)
    for path, radius in leaves
  }
  return {
    "attack": name,
    "relative_epsilon": size,
    "epsilon": epsilon,
    "logits": logits,
  }


def _in_blocks(
  answer: Callable[[Batch, Any], jax.Array],
  rows: Rows,
  block: int,
  key: jax.Array | None = None,
) -> np.ndarray:
  """answer(batch, key of the batch) of all rows, in batches of one size."""
  total = len(next(iter(rows.values())))
  answers = []
  for start in range(0, total, block):
    # The last block is filled up with its own rows: one compiled size.
    at = np.resize(np.arange(start, min(start + block, total)), block)
    batch = {name: x[at] for name, x in rows.items()}
    own = None if key is None else jax.random.fold_in(key, start)
    answers.append(np.asarray(answer(batch, own)))
  return np.concatenate(answers)[:total]
