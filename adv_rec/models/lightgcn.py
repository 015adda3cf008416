"""LightGCN: embeddings averaged over the graph of who chose what."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.types import Params


class Graph(NamedTuple):
  """The normalised adjacency of users and items, one entry an interaction.

  Attributes:
    user: [E] int32.
    item: [E] int32.
    weight: [E], 1 / sqrt(|N_u| |N_i|), N the neighbours.
  """

  user: np.ndarray
  item: np.ndarray
  weight: np.ndarray


def graph(users: np.ndarray, items: np.ndarray) -> Graph:
  """The graph of interactions [N], [N]; a pair met twice is one edge."""
  user, item = np.unique(np.stack([users, items]), axis=1)
  degrees = np.bincount(user)[user] * np.bincount(item)[item]
  weight = (1.0 / np.sqrt(degrees)).astype(np.float32)
  return Graph(user.astype(np.int32), item.astype(np.int32), weight)


def propagate(graph: Graph, tables: Params, layers: int) -> Params:
  """The mean of the tables and of their neighbourhoods 1 to `layers` away.

  He et al. 2020 (arXiv:2002.02126): eq. 3, a layer is the weighted sum of
  the neighbours in the layer before; eq. 4 with alpha_k = 1 / (layers + 1).
  Nothing is learned but the tables. A row without edges keeps its own share
  only, and rows beyond the last id stay zero.

  Args:
    graph: of the fitted interactions.
    tables: "user" [U, D] and "item" [I, D].
    layers: K, at least 0.
  """

  def into(ids, rows, size):
    messages = graph.weight[:, None] * rows
    return jax.ops.segment_sum(messages, ids, num_segments=size)

  user, item = tables["user"], tables["item"]
  users, items = [user], [item]
  for _ in range(layers):
    user, item = (
      into(graph.user, item[graph.item], user.shape[0]),
      into(graph.item, user[graph.user], item.shape[0]),
    )
    users.append(user)
    items.append(item)
  mean = jnp.float32(1 / (layers + 1))
  return {"user": mean * sum(users), "item": mean * sum(items)}
