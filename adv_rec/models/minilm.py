"""A pretrained BERT encoder, tuned as a whole or by a few added parameters.

Devlin et al. 2019 (arXiv:1810.04805), as all-MiniLM-L6-v2 has it. Four ways
to tune it:

  full      all parameters
  adapters  two small layers after each sublayer, and the norms (Houlsby et al.
            2019, arXiv:1902.00751, section 2.1)
  prefix    keys and values before each layer's own (Li and Liang 2021,
            arXiv:2101.00190, eq. 3), learnt as they are, without the
            perceptron that the paper makes them with in training
  lora      products of two thin matrices added to those of all layers (Hu et
            al. 2022, arXiv:2106.09685, eq. 3), not to queries and values only
            (Dettmers et al. 2023, arXiv:2305.14314, section 4)

Besides, the layer that answers is learnt.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from adv_rec.models import text
from adv_rec.models.apply import attended
from adv_rec.types import Batch, Params, Predictor

TUNINGS = ("full", "adapters", "prefix", "lora")
_LORA_SCALE = 2.0  # alpha / r
# Parts of a layer: published name -> ours.
_PARTS = {
  "attention.self.query": "query",
  "attention.self.key": "key",
  "attention.self.value": "value",
  "attention.output.dense": "mix",
  "attention.output.LayerNorm": "norm_attention",
  "intermediate.dense": "hidden",
  "output.dense": "back",
  "output.LayerNorm": "norm",
}


class Layer(nn.Module):
  """Self-attention and a perceptron, each followed by a norm.

  Attributes:
    config: sizes, by the names of BERT's config.json.
    tuning: one of `TUNINGS`.
    rank: of what is added: units of an adapter, keys of a prefix, r of LoRA.
    dropout: in training.
  """

  config: Mapping[str, Any]
  tuning: str
  rank: int
  dropout: float

  @nn.compact
  def __call__(self, x: jax.Array, there: jax.Array, train: bool) -> jax.Array:
    """[B, L, D], [B, L] -> [B, L, D]."""
    dim, heads = x.shape[-1], self.config["num_attention_heads"]
    drop = nn.Dropout(self.dropout, deterministic=not train)
    split = (*x.shape[:2], heads, dim // heads)
    query = self._dense("query", x, dim).reshape(split)
    key = self._dense("key", x, dim).reshape(split)
    value = self._dense("value", x, dim).reshape(split)
    if self.tuning == "prefix":
      key, value, there = self._prefixed(key, value, there)
    score = jnp.einsum("bqhd,bkhd->bhqk", query, key) / split[-1] ** 0.5
    score = jnp.where(there[:, None, None], score, -1e9)
    weight = nn.softmax(score)
    self.sow("intermediates", "attention_weights", weight)
    weight = drop(weight)
    seen = jnp.einsum("bhqk,bkhd->bqhd", weight, value).reshape(x.shape)
    seen = drop(self._dense("mix", seen, dim))
    x = self._norm("norm_attention", x + self._adapter("adapter_0", seen))
    wide = self._dense("hidden", x, self.config["intermediate_size"])
    wide = nn.gelu(wide, approximate=False)
    back = drop(self._dense("back", wide, dim))
    return self._norm("norm", x + self._adapter("adapter_1", back))

  def _norm(self, name: str, x: jax.Array) -> jax.Array:
    return nn.LayerNorm(self.config["layer_norm_eps"], name=name)(x)

  def _adapter(self, name: str, x: jax.Array) -> jax.Array:
    if self.tuning != "adapters":
      return x
    down = nn.Dense(self.rank, name=f"{name}_down")(x)
    # From zero: the network begins as it was published.
    up = nn.Dense(
      x.shape[-1], kernel_init=nn.initializers.zeros, name=f"{name}_up"
    )
    return x + up(nn.gelu(down))

  def _dense(self, name: str, x: jax.Array, dim: int) -> jax.Array:
    """A published layer, and what LoRA adds. [B, L, D] -> [B, L, dim]."""
    result = nn.Dense(dim, name=name)(x)
    if self.tuning != "lora":
      return result
    down = nn.Dense(self.rank, use_bias=False, name=f"lora_{name}_down")(x)
    up = nn.Dense(
      dim,
      use_bias=False,
      kernel_init=nn.initializers.zeros,
      name=f"lora_{name}_up",
    )
    return result + _LORA_SCALE * up(down)

  def _prefixed(
    self, key: jax.Array, value: jax.Array, there: jax.Array
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Keys and values [B, L, H, d] and which are there, P more of each."""
    shape = (self.rank, *key.shape[2:])
    normal = nn.initializers.normal(0.02)
    more = [
      jnp.broadcast_to(
        self.param(f"prefix_{name}", normal, shape), (len(key), *shape)
      )
      for name in ("key", "value")
    ]
    seen = jnp.ones((len(there), self.rank), bool)
    return (
      jnp.concatenate([more[0], key], axis=1),
      jnp.concatenate([more[1], value], axis=1),
      jnp.concatenate([seen, there], axis=1),
    )


class Encoder(nn.Module):
  """Vectors of pieces of words -> hidden states; attributes as of `Layer`."""

  config: Mapping[str, Any]
  tuning: str = "full"
  rank: int = 8
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self, x: jax.Array, there: jax.Array, train: bool = False
  ) -> jax.Array:
    """[B, L, D], [B, L] -> [B, L, D]."""
    place = self.param(
      "place",
      nn.initializers.normal(0.02),
      (self.config["max_position_embeddings"], x.shape[-1]),
    )
    x = x + place[: x.shape[1]]
    x = nn.LayerNorm(self.config["layer_norm_eps"], name="norm")(x)
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    for i in range(self.config["num_hidden_layers"]):
      layer = Layer(
        self.config, self.tuning, self.rank, self.dropout, name=f"layer_{i}"
      )
      x = layer(x, there, train)
    return x


def convert(weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Published weights as {"word": [V, D], "encoder": parameters}.

  The pooler, which sentence embeddings do not use, is left out; the kind of
  a segment is always the first, and is added to the places.
  """
  embeddings = {
    name.removeprefix("embeddings."): value
    for name, value in weights.items()
    if name.startswith("embeddings.")
  }
  kind = embeddings["token_type_embeddings.weight"][0]
  flat = {
    ("place",): embeddings["position_embeddings.weight"] + kind,
    ("norm", "scale"): embeddings["LayerNorm.weight"],
    ("norm", "bias"): embeddings["LayerNorm.bias"],
  }
  for name, value in weights.items():
    found = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name)
    if found:
      number, part, what = found.groups()
      ours = _PARTS[part]
      if what == "weight":
        is_norm = ours.startswith("norm")
        what, value = ("scale", value) if is_norm else ("kernel", value.T)
      flat[f"layer_{number}", ours, what] = value
  return {
    "word": embeddings["word_embeddings.weight"],
    "encoder": flax.traverse_util.unflatten_dict(flat),
  }


def embed(encoder: Encoder, params: Params, tokens: jax.Array) -> jax.Array:
  """Sentence embeddings: the mean state, of length 1. [B, L] -> [B, D]."""
  there = tokens != text.PAD
  words = jnp.asarray(params["word"])[tokens]
  states = encoder.apply({"params": params["encoder"]}, words, there)
  assert isinstance(states, jax.Array)
  pooled = text.mean(states, there)
  return pooled / jnp.linalg.norm(pooled, axis=-1, keepdims=True)


def predictor(
  encoder: Encoder,
  pretrained: Mapping[str, Any],
  dropout: float = 0.1,
  classes: int = 2,
) -> Predictor:
  """One layer on the mean state. The batch has "tokens" [B, L] int32.

  Args:
    encoder: with its way of tuning.
    pretrained: from `convert`.
    dropout: of the mean state.
    classes: C; of two there is one logit.
  """
  head = Head(dropout, classes)
  dim = encoder.config["hidden_size"]

  def lookup(params: Params, batch: Batch) -> jax.Array:
    there = (batch["tokens"] != text.PAD)[..., None]
    return jnp.where(there, params["word"][batch["tokens"]], 0.0)

  def logits(
    params: Params, batch: Batch, inputs: jax.Array, key: jax.Array | None
  ) -> jax.Array:
    there, train = batch["tokens"] != text.PAD, key is not None
    rngs: list[Any] = [None, None]
    if key is not None:
      rngs = [{"dropout": k} for k in jax.random.split(key)]
    states = encoder.apply(
      {"params": params["encoder"]}, inputs, there, train, rngs=rngs[0]
    )
    found = head.apply(
      {"params": params["head"]},
      text.mean(states, there),  # pyright: ignore[reportArgumentType]
      train,
      rngs=rngs[1],
    )
    assert isinstance(found, jax.Array)
    return found

  def init(key: jax.Array) -> Params:
    encoder_key, head_key = jax.random.split(key)
    there = jnp.ones((1, 2), bool)
    made = encoder.init(encoder_key, jnp.zeros((1, 2, dim)), there)["params"]
    flat = flax.traverse_util.flatten_dict(made)
    given = flax.traverse_util.flatten_dict(pretrained["encoder"])
    flat |= {name: jnp.asarray(value) for name, value in given.items()}
    return {
      "word": jnp.asarray(pretrained["word"]),
      "encoder": flax.traverse_util.unflatten_dict(flat),
      "head": head.init(head_key, jnp.zeros((1, dim)), False)["params"],
    }

  def attention(params: Params, batch: Batch, inputs: jax.Array) -> jax.Array:
    there = batch["tokens"] != text.PAD
    return attended(encoder, params["encoder"], inputs, there)

  learnt = None
  if encoder.tuning != "full":
    learnt = functools.partial(added, tuning=encoder.tuning)
  return Predictor(init, lookup, logits, learnt, attention)


def added(params: Params, tuning: str) -> Params:
  """A tree of bool: what a way of tuning learns."""
  learnt = {"adapters": ("adapter", "norm")}.get(tuning, (tuning,))
  flat = flax.traverse_util.flatten_dict(params)
  return flax.traverse_util.unflatten_dict(
    {
      name: name[0] == "head" or any(p.startswith(learnt) for p in name[1:])
      for name in flat
    }
  )


def share(params: Params, trainable: Params | None) -> float:
  """The share of the parameters that training changes.

  Args:
    params: arrays, or their shapes.
    trainable: a tree of bool; None: all.
  """
  sizes = jax.tree.map(lambda x: x.size, params)
  if trainable is None:
    return 1.0
  learnt = jax.tree.map(lambda n, learns: n * learns, sizes, trainable)
  return sum(jax.tree.leaves(learnt)) / sum(jax.tree.leaves(sizes))


class Head(nn.Module):
  """The layer that answers. [B, D] -> [B], or [B, C]."""

  dropout: float
  classes: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Logits."""
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return text.answer(x, self.classes)
