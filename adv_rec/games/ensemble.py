"""A game played several times side by side."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from adv_rec.types import Game, Player


def ensemble(game: Game, members: int) -> Game:
  """Independent copies of a game, which meet the same batches.

  Each copy has its own first parameters and its own keys (noise, dropout,
  perturbations), and plays against its own opponents: the loss is the sum of
  the copies', of which each parameter moves one. What the copies make is then
  averaged by whoever uses them: a generator trained on few examples depends on
  the luck of its draws, and a mean of several does so less (Lakshminarayanan,
  Pritzel & Blundell 2017, arXiv:1612.01474).

  Args:
    game: whose optimizers treat each parameter by itself (SGD, Adam), and
      whose players keep no tables that are updated by rows.
    members: M, at least 1.

  Returns:
    The same players; their parameters have a leading axis of M.
  """
  return {name: _copied(player, members) for name, player in game.items()}


def _copied(player: Player, members: int) -> Player:
  def init(key):
    return jax.vmap(player.init)(jax.random.split(key, members))

  def loss(params, everyone, batch, key):
    def alone(own, others, key):
      return player.loss(own, others, batch, key)

    losses, metrics = jax.vmap(alone)(
      params, dict(everyone), jax.random.split(key, members)
    )
    return jnp.sum(losses), jax.tree.map(jnp.mean, metrics)

  return player._replace(init=init, loss=loss)
