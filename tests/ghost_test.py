"""Ghost clipping equals gradients that are formed and clipped one by one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adv_rec.privacy import ghost

KEY = jax.random.key(5)
BATCH = 6


class Dense(nn.Module):
  bias: bool = True
  shape = (4,)

  @nn.compact
  def __call__(self, x):
    x = nn.tanh(nn.Dense(5, use_bias=self.bias)(x))
    return nn.Dense(1, use_bias=self.bias)(x).sum(range(1, x.ndim))


class Shared(nn.Module):
  """One dense layer over time and over again; two calls of another."""

  bias: bool = True
  shape = (3, 4)

  @nn.compact
  def __call__(self, x):
    layer, last = nn.Dense(4, use_bias=self.bias), nn.Dense(2)
    for _ in range(3):
      x = nn.tanh(layer(x))
    return jnp.sum(last(x) ** 2, axis=(1, 2)) + last(x[:, 0])[:, 0]


class Wide(nn.Module):
  """Few positions for its width: norms by the products of positions."""

  bias: bool = True
  shape = (2, 16)

  @nn.compact
  def __call__(self, x):
    return jnp.sum(nn.Dense(24, use_bias=self.bias)(x) ** 2, axis=(1, 2))


class Embedded(nn.Module):
  bias: bool = True
  shape = (5,)  # ids, some of them twice

  @nn.compact
  def __call__(self, x):
    table = nn.Embed(4, 3)
    ids = jnp.floor(4 * jax.nn.sigmoid(x)).astype(jnp.int32)
    x = table(ids).mean(axis=1) * table(ids[:, 0] - 4)  # from the end
    return nn.Dense(1, use_bias=self.bias)(x)[:, 0]


class Convolved(nn.Module):
  bias: bool = True
  shape = (4, 4, 2)

  @nn.compact
  def __call__(self, x):
    same = nn.Conv(2, (3, 3), padding="CIRCULAR", use_bias=self.bias)
    x = nn.tanh(same(nn.tanh(same(x))))
    x = nn.Conv(4, (3, 3), 2, feature_group_count=2, use_bias=self.bias)(x)
    return jnp.sum(jnp.sin(x), axis=(1, 2, 3))


class Normed(nn.Module):
  bias: bool = True
  shape = (3, 4)

  @nn.compact
  def __call__(self, x):
    x = nn.LayerNorm(use_bias=self.bias)(nn.Dense(4)(x))
    x = nn.GroupNorm(2, use_bias=self.bias)(x)
    return jnp.sum(jnp.sin(x), axis=(1, 2))


NETWORKS = {
  c.__name__: c for c in (Dense, Shared, Wide, Embedded, Convolved, Normed)
}


def made(network, batch=BATCH):
  """Parameters, a batch with a hole, and the losses of its rows."""
  rng = np.random.default_rng(0)
  x = rng.normal(size=(batch, *network.shape)).astype(np.float32)
  shapes = jax.eval_shape(lambda: network.init(KEY, x))["params"]
  params = jax.tree.map(
    lambda p: rng.normal(0.1, 0.5, p.shape).astype(np.float32), shapes
  )
  mask = np.arange(batch) != 1

  def examples(own, everyone, batch, key):
    return network.apply({"params": own}, batch["x"])

  return params, {"x": x, "mask": mask}, examples


def both(name, bias, rows):
  """Its known layers, and both sums as a function of the clip."""
  params, batch, examples = made(NETWORKS[name](bias=bias))

  def losses(params, batch, key):
    return jnp.where(batch["mask"], examples(params, {}, batch, key), 0.0)

  @jax.jit
  def sums(clip):
    by_ghost = ghost.clipped(examples, clip, ("x",), rows)
    return by_ghost(params, {}, batch, KEY), ghost._one_by_one(
      losses, params, batch, KEY, clip, ("x", "mask"), rows
    )

  return ghost._known(lambda p: losses(p, batch, KEY), params, BATCH), sums


def compare(a, b, tolerance=1e-5):
  """Relative to the largest gradient of each parameter."""
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    np.testing.assert_allclose(x, y, atol=tolerance * np.abs(y).max() + 1e-9)


CASES = [
  *((name, False, 3) for name in NETWORKS),
  ("Dense", True, 1),
  ("Convolved", True, 1),
]


@pytest.mark.parametrize(("name", "bias", "rows"), CASES)
def test_it_equals_clipping_one_by_one(name, bias, rows):
  uses, sums = both(name, bias, rows)
  assert uses, "the network is not known: the slow way was taken"
  for clip in (0.01, 1.0, 1e6, np.inf):
    found, expected = sums(clip)
    assert max(np.abs(x).max() for x in jax.tree.leaves(expected)) > 1e-4
    compare(found, expected)


class OneByOne(nn.Module):
  """A layer of its own parameters: nothing here knows it."""

  shape = (4,)

  @nn.compact
  def __call__(self, x):
    scale = self.param("scale", nn.initializers.ones, (4,))
    return nn.Dense(1)(scale * x)[:, 0]


class Tied(nn.Module):
  """A table looked up, which is known, and read otherwise, which is not."""

  shape = (4,)

  @nn.compact
  def __call__(self, x):
    table = nn.Embed(4, 4)
    ids = jnp.argmax(x, axis=1)
    return jnp.sum(table(ids) * table.attend(x), axis=1)


class Scanned(nn.Module):
  """A dense layer inside a loop that is compiled as one."""

  shape = (4,)

  @nn.compact
  def __call__(self, x):
    steps = jnp.tile(x[:, None], (1, 3, 1))
    return nn.RNN(nn.SimpleCell(2))(steps)[:, -1].sum(axis=1)


@pytest.mark.parametrize("network", [Tied(), Scanned()], ids=str)
def test_what_is_not_known_is_found_out(network):
  params, batch, examples = made(network)
  assert (
    ghost._known(lambda p: examples(p, {}, batch, KEY), params, BATCH) is None
  )


def test_what_is_not_known_is_clipped_one_by_one():
  params, batch, examples = made(OneByOne())

  def losses(params):
    return examples(params, {}, batch, KEY)

  assert ghost._known(losses, params, BATCH) is None
  total = ghost.clipped(examples, 0.1, ("x",))
  found = jax.jit(lambda: total(params, {}, batch, KEY))()
  jacobian = jax.jit(jax.jacobian(losses))(params)
  norms = sum(
    jnp.sum(j.reshape(BATCH, -1) ** 2, axis=1)
    for j in jax.tree.leaves(jacobian)
  )
  weight = jnp.where(batch["mask"], jnp.minimum(1, 0.1 / jnp.sqrt(norms)), 0)
  expected = jax.tree.map(lambda j: jnp.tensordot(weight, j, 1), jacobian)
  compare(found, expected)


class Mixed(nn.Module):
  how: str

  @nn.compact
  def __call__(self, x):
    if self.how == "batch norm":
      return nn.BatchNorm(use_running_average=False)(x)[:, 0]
    if self.how == "statistics":
      return nn.Dense(1)(x - x.mean(axis=0))[:, 0]
    x = nn.tanh(nn.Dense(BATCH)(x))
    if self.how == "later":
      return nn.Dense(1)(x + x.std(axis=0))[:, 0]
    if self.how == "turned":  # as wide as the batch: rows look like columns
      return nn.Dense(1)(x.T + 0.0)[:, 0] + jnp.arange(BATCH)
    return nn.Dense(1)(x)[:, 0]


@pytest.mark.parametrize(
  ("how", "message"),
  [
    ("batch norm", "takes statistics of the batch"),
    ("statistics", "changes with the other rows"),
    ("later", "changes with the other rows"),
    ("turned", "changes with the other rows"),
    ("apart", None),
  ],
)
def test_rows_that_meet_are_refused(how, message):
  network = Mixed(how)
  x = np.random.default_rng(0).normal(size=(BATCH, 4)).astype(np.float32)
  x, params = jnp.asarray(x), jax.jit(network.init)(KEY, x).get("params")

  def examples(own, everyone, batch, key):
    variables = {"params": own}
    found, _ = network.apply(variables, batch["x"], mutable=["batch_stats"])
    return found

  def check():
    ghost.check_rows(examples, params, {}, {"x": x}, KEY, ("x",))

  if message is None:
    check()
  else:
    with pytest.raises(ValueError, match=message):
      check()


def test_it_works_in_a_compiled_loop_and_beside_a_frozen_twin():
  """The same arrays may be another player's, too: these are not tapped."""
  params, batch, examples = made(Dense())

  def twice(own, everyone, batch, key):
    mine = examples(own, everyone, batch, key)
    return mine * examples(everyone["me"], everyone, batch, key)

  def frozen(own, everyone, batch, key):
    fixed = examples(params, everyone, batch, key)
    return examples(own, everyone, batch, key) * fixed

  @jax.jit
  def walk():
    def step(own, _):
      found = [
        ghost.clipped(f, 0.3, ("x",))(own, {"me": own}, batch, KEY)
        for f in (twice, frozen)
      ]
      return own, found

    return jax.lax.scan(step, params, None, length=2)[1]

  a, b = walk()
  compare(a, b)
  assert max(np.abs(x).max() for x in jax.tree.leaves(a)) > 1e-4
