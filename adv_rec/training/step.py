"""One step of a game, whatever the game is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from adv_rec.types import Batch, Game, Metrics, Params, Player, State

Step = Callable[[State, Batch], tuple[State, Metrics]]


def init_state(game: Game, key: jax.Array) -> State:
  """The state before the first step; each player draws from a key of its own.

  Args:
    game: the players.
    key: a typed key (`jax.random.key`).
  """
  params = {
    name: player.init(jax.random.fold_in(key, turn))
    for turn, (name, player) in enumerate(game.items())
  }
  return State(
    step=jnp.zeros((), jnp.int32),
    key=key,
    params=params,
    opt_state={n: p.optimizer.init(params[n]) for n, p in game.items()},
    average={
      # A copy: the state is donated, and a buffer can be donated only once.
      n: jax.tree.map(jnp.copy, params[n])
      for n, p in game.items()
      if p.average is not None
    },
  )


def make_step(game: Game, axis_name: str | None = None) -> Step:
  """Builds (state, batch) -> (state, {player: metrics}).

  The players move in the order of the game; each sees what those before it
  have just become. A batch holds as many rounds as the most frequent player
  has updates: with R rounds, update i of a player sees the rows i, i + R,
  i + 2R, ... (strided, so that a batch sharded by rows stays sharded), and
  the metrics are the mean over the updates.

  To the batch the step adds one entry, "step" (int32 scalar), for losses with
  a schedule.

  Args:
    game: the players in their order of play.
    axis_name: the mapped axis over which gradients and metrics are averaged
      when the step runs under `pmap`; None under `jit`, where the compiler
      does it.

  Raises:
    ValueError: a player updates rows of a table and the game has several
      rounds or a mapped axis: row ids belong to the whole batch. When called,
      the rows of a batch do not divide among the rounds.
  """
  rounds = max((player.updates for player in game.values()), default=1)
  for name, player in game.items():
    if player.rows and (rounds > 1 or axis_name):
      raise ValueError(
        f"player {name!r}: row-sparse updates need one round per step and"
        " jit; set rows=None, or updates=1 for every player"
      )

  def step(state: State, batch: Batch) -> tuple[State, Metrics]:
    key = jax.random.fold_in(state.key, state.step)
    params, opt_state = dict(state.params), dict(state.opt_state)
    metrics = {}
    for turn, (name, player) in enumerate(game.items()):

      def update(carry, i, name=name, player=player, turn=turn):
        own, own_state = carry
        turn_key = jax.random.fold_in(jax.random.fold_in(key, turn), i)
        sample = {**_round(batch, rounds, i), "step": state.step}
        everyone = {**params, name: own}
        own, own_state, values = _learn(
          player, own, own_state, everyone, sample, turn_key, axis_name
        )
        return (own, own_state), values

      carry, values = jax.lax.scan(
        update,
        (params[name], opt_state[name]),
        jnp.arange(player.updates),
        unroll=player.updates == 1,
      )
      params[name], opt_state[name] = carry
      metrics[name] = jax.tree.map(lambda v: jnp.mean(v, axis=0), values)
    average = {
      n: optax.incremental_update(params[n], old, 1.0 - decay)
      for n, old in state.average.items()
      if (decay := game[n].average) is not None
    }
    return state.replace(
      step=state.step + 1,
      params=params,
      opt_state=opt_state,
      average=average,
    ), metrics

  return step


def _round(batch: Batch, rounds: int, i: jax.Array) -> dict[str, Any]:
  if rounds == 1:
    return dict(batch)
  for name, x in batch.items():
    if x.shape[0] % rounds:
      raise ValueError(
        f"batch entry {name!r} has {x.shape[0]} rows, which the {rounds}"
        " updates of a step cannot share equally; choose a multiple for"
        " batch_size"
      )
  return {
    name: x.reshape(x.shape[0] // rounds, rounds, *x.shape[1:])[:, i]
    for name, x in batch.items()
  }


def _learn(
  player: Player,
  params: Params,
  opt_state: Any,
  everyone: Mapping[str, Params],
  batch: Batch,
  key: jax.Array,
  axis_name: str | None,
) -> tuple[Params, Any, Metrics]:
  """One update of one player."""
  whole = params, opt_state
  if player.rows:
    batch = _with_local_rows(player, params, batch)
    marks = _mark_tables(player, params, opt_state)
    params, opt_state = _take_rows(marks, whole, batch)
  gradients, metrics = player.gradient(player.loss)(
    params, everyone, batch, key
  )
  if axis_name:
    gradients, metrics = jax.lax.pmean((gradients, metrics), axis_name)
  updates, opt_state = player.optimizer.update(gradients, opt_state, params)
  params = optax.apply_updates(params, updates)
  if player.rows:
    params, opt_state = _put_rows(marks, whole, (params, opt_state), batch)
  return params, opt_state, metrics


# Row-sparse updates. The batch names the rows of a table that it needs by
# unique global ids (padded with ids past the end), in the entry TABLE_rows, and
# refers to them by local ids 0..U-1; where that entry is missing, because no
# host knows the whole batch, both are found here, which takes longer. The
# loss and the optimizer see [U, D] in place of the table and of each
# optimizer statistic of its shape; the new rows are then written back. With a
# zero gradient SGD and Adagrad leave a row alone, so for them this equals the
# dense update. Optimizers with memory (momentum, Adam) and weight decay become
# their lazy forms: a row changes only in the steps that visit it.


def _with_local_rows(player: Player, params: Params, batch: Batch) -> Batch:
  batch = dict(batch)
  for table, fields in (player.rows or {}).items():
    if f"{table}_rows" in batch:
      continue
    rows = params[table].shape[0]
    ids = jnp.concatenate([batch[field] for field in fields])
    unique = jnp.unique(ids, size=min(rows, ids.size), fill_value=rows)
    for field in fields:
      batch[field] = jnp.searchsorted(unique, batch[field])
    batch[f"{table}_rows"] = unique
  return batch


def _mark_tables(player: Player, params: Params, opt_state: Any) -> Any:
  """(params, opt_state) with each array replaced by its row entry, or ""."""
  marks = {
    name: jax.tree.map(
      lambda _, name=name: f"{name}_rows" if name in player.rows else "", value
    )
    for name, value in params.items()
  }
  return marks, optax.tree_utils.tree_map_params(
    player.optimizer,
    lambda _, mark: mark,
    opt_state,
    marks,
    transform_non_params=lambda _: "",
  )


def _take_rows(marks: Any, whole: Any, batch: Batch) -> Any:
  def take(mark, x):
    return x.at[batch[mark]].get(mode="fill", fill_value=0) if mark else x

  return jax.tree.map(take, marks, whole)


def _put_rows(marks: Any, whole: Any, rows: Any, batch: Batch) -> Any:
  def put(mark, x, new):
    if not mark:
      return new
    return x.at[batch[mark]].set(new, mode="drop", unique_indices=True)

  return jax.tree.map(put, marks, whole, rows)
