"""Mult-VAE: a variational autoencoder of a user's row of interactions."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models.apply import Apply
from adv_rec.models.recommenders import multi_hot, normal_table
from adv_rec.types import Params, Scorer


class MultVAE(nn.Module):
  """Row of interactions -> latent Gaussian -> scores of all items.

  Liang et al. 2018 (arXiv:1802.05814): the encoder of eq. 4 and the decoder
  of eq. 1 with one hidden layer each, I - hidden - latent - hidden - I, tanh,
  dropout on the input.

  Attributes:
    num_items: I.
    hidden: H, width of both hidden layers.
    latent: K.
    dropout: share of the input that training leaves out.
  """

  num_items: int
  hidden: int = 600
  latent: int = 200
  dropout: float = 0.5

  def setup(self) -> None:
    """Declares the layers; the last one as a table, one row an item."""
    init = nn.initializers.xavier_normal()
    self.encoder = nn.Dense(self.hidden, kernel_init=init)
    self.posterior = nn.Dense(2 * self.latent, kernel_init=init)
    self.decoder = nn.Dense(self.hidden, kernel_init=init)
    scale = (2 / (self.hidden + self.num_items)) ** 0.5
    shape = (self.num_items, self.hidden)
    self.item = self.param("item", normal_table, *shape, scale)
    self.bias = self.param("bias", nn.initializers.zeros, (self.num_items,))
    self.drop = nn.Dropout(self.dropout)

  def __call__(
    self, rows: jax.Array, train: bool = False
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores of all items, and the posterior.

    Args:
      rows: normalised interactions, see `rows_of` [B, I].
      train: whether to drop inputs and to sample the latent factors (rngs
        "dropout" and "latent"); otherwise they are at their mean.

    Returns:
      Logits [B, I], posterior mean [B, K] and log variance [B, K].
    """
    mean, log_variance = self.encode(self.drop(rows, deterministic=not train))
    z = mean
    if train:
      noise = jax.random.normal(self.make_rng("latent"), mean.shape)
      z = mean + jnp.exp(0.5 * log_variance) * noise
    hidden = nn.tanh(self.decoder(z))
    logits = hidden @ self.item[: self.num_items].T + self.bias
    return logits, mean, log_variance

  def encode(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Posterior mean and log variance. [B, I] -> [B, K], [B, K]."""
    posterior = self.posterior(nn.tanh(self.encoder(rows)))
    mean, log_variance = jnp.split(posterior, 2, axis=-1)
    return mean, log_variance

  def queries(self, histories: jax.Array, users: jax.Array) -> jax.Array:
    """The last hidden layer at the posterior mean, and 1 for the bias.

    Args:
      histories: items of all users [U, L], see `rows_of`.
      users: [B].

    Returns:
      [B, H + 1].
    """
    mean, _ = self.encode(rows_of(histories[users], self.num_items))
    hidden = nn.tanh(self.decoder(mean))
    return jnp.pad(hidden, ((0, 0), (0, 1)), constant_values=1.0)

  def scorer(self, params: Params, histories: np.ndarray) -> Scorer:
    """Users by their histories [U, L] against all items."""
    item = params["item"][: self.num_items]
    return Scorer(
      jax.tree_util.Partial(
        Apply(self, "queries"), params, jnp.asarray(histories)
      ),
      jnp.concatenate([item, params["bias"][:, None]], axis=1),
    )


def rows_of(items: jax.Array, num_items: int) -> jax.Array:
  """Rows of interactions, each of norm 1, or 0 if empty. [B, L] -> [B, I].

  Args:
    items: distinct ids, padded with ids past the end.
    num_items: I.
  """
  rows = multi_hot(items, num_items)
  count = jnp.sum(rows, axis=1, keepdims=True)
  return rows / jnp.sqrt(jnp.maximum(count, 1.0))
