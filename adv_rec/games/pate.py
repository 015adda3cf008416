"""The game of PATE-GAN: teachers see rows, a student hears their votes.

Yoon, Jordon & van der Schaar 2019 (ICLR, "PATE-GAN"). Four players: "teachers",
"votes", "student", "generator". Rows end in the teachers, and the votes are the
only way out: the student knows generated rows and what was voted on them, the
generator knows the student. So these two are made of noisy counts, and playing
them longer costs nothing.

What differs from the paper, each time to make more of the same noisy counts:

- The student learns how many teachers say yes to a row, beside other rows of
  the same vote, and not what the majority says.
- It remembers the votes of earlier steps.
- Teachers are many, of a few rows each, since the noise does not grow with
  them. They look at rows through one random layer, which nobody trains, and own
  a linear one; of more, votes would be about whether a row is like one of the
  teacher's own.
- The generator keeps to the noisy counts of each column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from adv_rec.games.gan import with_norm
from adv_rec.models.gan import Generator, sample
from adv_rec.models.tabular import Layout, condition_loss, relaxed
from adv_rec.privacy.gradients import NOISE, without_data
from adv_rec.types import Game, Loss, Params, Player

DATA = "codes"  # what of a batch is rows

# Rows, as codes or as vectors, -> [B, F]. Votes [K, B] bool and words [2]
# uint32 -> noisy counts [B].
Features = Callable[[jax.Array], jax.Array]
Tally = Callable[[jax.Array, jax.Array], jax.Array]


def pate_gan(
  layout: Layout,
  generator: Generator,
  student: nn.Module,
  features: Features,
  tally: Tally,
  optimizers: Mapping[str, optax.GradientTransformation],
  chances: jax.Array,
  *,
  teachers: int,
  queries: int,
  memory: int,
  updates: int = 1,
  average: float | None = None,
  temperature: float = 0.2,
  score: float = 1.0,
  columns: float = 1.0,
) -> Game:
  """A conditional GAN of rows whose discriminator learns from votes alone.

  The batch of U updates has data, "codes" [K R U, C], the rows of each of K
  teachers after those of the one before; and, public, "condition" [G U], cells
  of generated rows as in `games.private`. The first row of "noise" holds words.

  Args:
    layout: of the rows, all of them categories.
    generator: as of `table_gan`.
    student: called as `models.gan.Discriminator` is, without a condition; what
      it returns is a score.
    features: of rows as the teachers see them.
    tally: `privacy.votes.noisy` with its noise. It is called once a step.
    optimizers: of "teachers", "student" and "generator"; the teachers' treats
      each parameter by itself (SGD, Adam), or one would move the others.
    chances: of the cells [C], within each column; public, as of noisy counts.
    teachers: K.
    queries: B, generated rows that are voted on in a step; at most G.
    memory: steps whose votes the student remembers, the last one included.
    updates: U, of the student and the generator.
    average: decay of the moving average of the generator's parameters.
    temperature: of `models.tabular.relaxed`.
    score: weight of the student's score, for the generator.
    columns: of the distance of its columns from `chances`, likewise.
  """

  def generate(params: Params, cells: jax.Array, key: jax.Array):
    given = jax.nn.one_hot(cells, layout.cells)
    outputs = sample(generator, params, key, len(given), given)
    noise_key = jax.random.fold_in(key, 1)
    return relaxed(outputs, noise_key, layout, temperature), outputs

  def judge(params: Params, x: jax.Array, key: jax.Array) -> jax.Array:
    found: Any = student.apply(
      {"params": params}, x, train=True, rngs={"dropout": key}
    )
    return found

  def teachers_loss(params, everyone, batch, key):
    real = features(batch[DATA])
    if len(real) % teachers:
      raise ValueError(
        f"a batch of {len(real)} rows is not that of {teachers} teachers; run"
        " them with mode=jit"
      )
    real = real.reshape(teachers, -1, real.shape[-1])
    fake, _ = generate(everyone["generator"], batch["condition"], key)
    yes = jnp.einsum("krf,kf->kr", real, params["kernel"])
    yes, no = yes + params["bias"][:, None], opinions(params, fake)
    # Cross-entropy. The sum over teachers moves each as its own loss would. No
    # metric: it would have no noise.
    each = jnp.mean(jax.nn.softplus(-yes), axis=1)
    each += jnp.mean(jax.nn.softplus(no), axis=1)
    return jnp.sum(each), {}

  def opinions(params: Params, fake: jax.Array) -> jax.Array:
    logits = jnp.einsum("gf,kf->kg", features(fake), params["kernel"])
    return logits + params["bias"][:, None]

  def votes_loss(own, everyone, batch, key):
    asked, _ = generate(
      everyone["generator"], batch["condition"][:queries], key
    )
    cast = opinions(everyone["teachers"], asked) > 0
    share = tally(cast, batch[NOISE][0]) / teachers
    spread = jnp.maximum(jnp.std(share), 1e-6)
    labels = (share - jnp.mean(share)) / spread
    heard = {
      name: jnp.concatenate([new, own[name]])[: len(own[name])]
      for name, new in {"rows": asked, "labels": labels}.items()
    }
    # The gradient of this is all of the way there, at a rate of 1.
    way = jax.tree.map(lambda a, b: a - jax.lax.stop_gradient(b), own, heard)
    half = 0.5 * optax.tree_utils.tree_l2_norm(way, squared=True)
    return half, {"yes": jnp.mean(share), "spread": spread}

  def student_loss(params, everyone, batch, key):
    pick_key, score_key = jax.random.split(key)
    heard = everyone["votes"]
    known = jnp.minimum(batch["step"] + 1, memory) * queries
    some = jax.random.randint(pick_key, batch["condition"].shape, 0, known)
    scores = judge(params, heard["rows"][some], score_key)
    loss = jnp.mean(jnp.square(scores - heard["labels"][some]))
    return loss, {"loss": loss}

  def generator_loss(params, everyone, batch, key):
    sample_key, score_key = jax.random.split(key)
    fake, outputs = generate(params, batch["condition"], sample_key)
    reached = jnp.mean(judge(everyone["student"], fake, score_key))
    guide = jnp.mean(condition_loss(outputs, batch["condition"], layout))
    means = [
      jnp.mean(jax.nn.softmax(x), axis=0) for x in layout.blocks(outputs)
    ]
    far = 0.5 * jnp.sum(jnp.abs(jnp.concatenate(means) - chances))
    metrics = {"score": reached, "guide": guide, "columns": far}
    return guide + columns * far - score * reached, metrics

  def init_teachers(key):
    del key  # they begin without an opinion
    width = jax.eval_shape(features, jnp.zeros((1, layout.width))).shape[-1]
    kernel = jnp.zeros((teachers, width))
    return {"kernel": kernel, "bias": jnp.zeros(teachers)}

  def init_votes(key):
    del key
    num = queries * memory
    return {"rows": jnp.zeros((num, layout.width)), "labels": jnp.zeros(num)}

  def init_student(key):
    return student.init(key, jnp.zeros((1, layout.width)))["params"]

  def init_generator(key):
    noise = jnp.zeros((1, generator.latent))
    made: Any = generator.init(key, noise, jnp.zeros((1, layout.cells)))
    params = made["params"]
    # Columns as they are to be, each on its own.
    last = f"Dense_{len(generator.hidden)}"
    kernel = jnp.zeros_like(params[last]["kernel"])
    bias = jnp.log(jnp.maximum(chances, 1e-4))
    return {**params, last: {"kernel": kernel, "bias": bias}}

  return {
    "teachers": Player(init_teachers, teachers_loss, optimizers["teachers"]),
    "votes": Player(init_votes, votes_loss, optax.sgd(1.0)),
    "student": Player(
      init_student,
      _blind(student_loss),
      optimizers["student"],
      gradient=with_norm,
      updates=updates,
    ),
    "generator": Player(
      init_generator,
      _blind(generator_loss),
      optimizers["generator"],
      gradient=with_norm,
      updates=updates,
      average=average,
    ),
  }


def _blind(loss: Loss) -> Loss:
  """A loss that is shown neither rows nor those who have seen any."""

  def shown(own, everyone, batch, key):
    others = {n: params for n, params in everyone.items() if n != "teachers"}
    return loss(own, others, batch, key)

  return without_data(shown, (DATA,))
