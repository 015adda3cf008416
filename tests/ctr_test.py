"""Models of clicks against their equations, and what measures them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics

from adv_rec.evaluation import pointwise
from adv_rec.models import ctr as models
from adv_rec.models.ctr import Layout

LAYOUT = Layout(rows=20, widths=(1, 1, 3))
HISTORY = LAYOUT._replace(history=(2, 1))
HEADS = {
  "logistic": models.Logistic(),
  "fm": models.FM(),
  "dnn": models.DNN((8,)),
  "deepfm": models.DeepFM((8,)),
  "dcn_v2": models.DCNV2((8,), crosses=2),
  "din": models.DIN(1, (8,), attention=4),
}


def batch(rows=6, seed=0):
  """Two categories, one value short of a list of three."""
  rng = np.random.default_rng(seed)
  ids = rng.integers(0, 20, (rows, 5)).astype(np.int32)
  ids[:, 4] = 20
  weights = np.tile([1.0, 1.0, 0.5, 0.5, 0.0], (rows, 1)).astype(np.float32)
  return {"rows": jnp.asarray(ids), "weights": jnp.asarray(weights)}


def made(name, dim=4):
  layout = HISTORY if name == "din" else LAYOUT
  predictor = models.predictor(layout, HEADS[name], dim, scale=0.5)
  params = predictor.init(jax.random.key(0))
  first_order = jax.random.normal(jax.random.key(1), (20,))
  params["table"] = params["table"].at[:, -1].set(first_order)
  return predictor, params


def answers(name, rows, params=None):
  predictor, own = made(name)
  params = own if params is None else params
  inputs = predictor.lookup(params, rows)
  return np.asarray(predictor.logits(params, rows, inputs, None))


def test_a_field_is_the_weighted_sum_of_its_rows():
  predictor, params = made("fm")
  rows = batch()
  fields = predictor.lookup(params, rows)["fields"]
  table, ids = np.asarray(params["table"]), np.asarray(rows["rows"])
  np.testing.assert_array_equal(fields[:, 0], table[ids[:, 0]])
  mean = (table[ids[:, 2]] + table[ids[:, 3]]) / 2
  np.testing.assert_allclose(fields[:, 2], mean, rtol=1e-6)


def test_fm_is_the_sum_over_all_pairs():
  predictor, params = made("fm")
  fields = np.asarray(predictor.lookup(params, batch())["fields"], float)
  expected = fields[..., -1].sum(axis=1)
  for i in range(3):
    for j in range(i):
      expected += (fields[:, i, :-1] * fields[:, j, :-1]).sum(axis=1)
  np.testing.assert_allclose(answers("fm", batch()), expected, rtol=1e-5)


def test_deepfm_is_fm_plus_a_perceptron():
  predictor, params = made("deepfm")
  rows = batch()
  inputs = predictor.lookup(params, rows)
  deep = models.Perceptron((8,)).apply(
    {"params": params["head"]["Perceptron_0"]},
    models.flat(models.parts(inputs["fields"])[0]),
    False,
  )
  table = {"table": params["table"], "head": {"bias": jnp.zeros(())}}
  np.testing.assert_allclose(
    answers("deepfm", rows, params),
    deep + answers("fm", rows, table),
    rtol=1e-5,
  )


def test_a_cross_layer_is_its_equation():
  first, x = jax.random.normal(jax.random.key(2), (2, 5, 7))
  cross = models.Cross()
  variables = cross.init(jax.random.key(3), first, x)
  dense = variables["params"]["Dense_0"]
  bias = jnp.arange(7.0)
  variables = {"params": {"Dense_0": {**dense, "bias": bias}}}
  expected = first * (x @ dense["kernel"] + bias) + x
  found = np.asarray(cross.apply(variables, first, x))
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_fills_up_a_history_says_nothing():
  rows = batch()
  longer = {**rows, "rows": rows["rows"].at[:, 4].set(3)}
  np.testing.assert_array_equal(answers("din", rows), answers("din", longer))
  other = {**rows, "rows": rows["rows"].at[:, 3].set(3)}
  assert np.any(answers("din", rows) != answers("din", other))


@pytest.mark.parametrize("name", HEADS)
def test_a_row_past_the_end_is_nothing_and_learns_nothing(name):
  """A gather that clamps would read, and change, the last row instead."""
  predictor, params = made(name)
  rows = batch()
  rows["rows"] = jnp.where(rows["rows"] == 19, 18, rows["rows"])
  rows["rows"] = rows["rows"].at[:, 0].set(20)

  def total(table):
    full = {**params, "table": table}
    return predictor.logits(
      full, rows, predictor.lookup(full, rows), None
    ).sum()

  value, gradient = jax.value_and_grad(total)(params["table"])
  assert np.isfinite(value)
  assert np.all(predictor.lookup(params, rows)["fields"][:, 0] == 0)
  assert np.all(gradient[19] == 0) and np.any(gradient != 0)
  moved = params["table"].at[19].add(100.0)
  assert total(moved) == value


def test_dropout_is_drawn_from_the_key_only():
  predictor = models.predictor(LAYOUT, models.DNN((64,), dropout=0.5), 4, 0.5)
  params, rows = predictor.init(jax.random.key(0)), batch()
  inputs = predictor.lookup(params, rows)
  keys = [jax.random.key(1), jax.random.key(1), jax.random.key(2), None, None]
  found = [predictor.logits(params, rows, inputs, key) for key in keys]
  np.testing.assert_array_equal(found[0], found[1])
  np.testing.assert_array_equal(found[3], found[4])
  assert np.any(found[0] != found[2]) and np.any(found[0] != found[3])


def drawn(rows=500, seed=0):
  rng = np.random.default_rng(seed)
  logits = np.round(rng.normal(size=rows), 1)  # with ties
  label = (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.float32)
  return label, logits, rng.integers(0, 40, rows)


def test_grouped_auc_is_the_mean_of_the_groups():
  label, score, group = drawn()
  group[:3] = 99  # of one label only
  label[:3] = 1
  values, sizes = [], []
  for g in np.unique(group):
    own = group == g
    if len(np.unique(label[own])) == 2:
      values.append(metrics.roc_auc_score(label[own], score[own]))
      sizes.append(own.sum())
  assert len(values) < len(np.unique(group))
  found = pointwise.grouped_auc(label, score, group)
  np.testing.assert_allclose(found, np.average(values, weights=sizes))
  assert np.isnan(pointwise.grouped_auc(np.ones(4), np.arange(4), np.arange(4)))


def test_honest_chances_are_calibrated_and_gain():
  label, logits, group = drawn(20_000)
  honest = pointwise.scores(label, logits, group)
  bold = pointwise.scores(label, 3 * logits, group)
  assert honest["ece"] < 0.015 < 0.1 < bold["ece"]
  assert honest["auc"] == bold["auc"]
  assert honest["rig"] > 0 > bold["rig"]
  constant = np.full(len(label), np.log(label.mean() / (1 - label.mean())))
  nothing = pointwise.scores(label, constant, group)
  for name, expected in (("auc", 0.5), ("rig", 0), ("ece", 0), ("lift", 1)):
    np.testing.assert_allclose(nothing[name], expected, atol=0.02)
  np.testing.assert_allclose(nothing["rig"], 0, atol=1e-6)


def test_lift_counts_all_that_a_row_stands_for():
  """Ten rows of label 0 for each kept: the lift is that of all of them."""
  label, score, _ = drawn(20_000)
  all_of = pointwise.lift(label, score, 0.1, np.ones(len(label)))
  top = np.sort(score)[::-1][2000]
  expected = label[score > top].mean() / label.mean()
  assert all_of < expected < 1.05 * all_of  # ties at the cut count by a share
  rng = np.random.default_rng(1)
  kept = (label > 0) | (rng.random(len(label)) < 0.1)
  weight = np.where(label > 0, 1.0, 10.0)[kept]
  some = pointwise.lift(label[kept], score[kept], 0.1, weight)
  np.testing.assert_allclose(some, all_of, rtol=0.05)
  best = pointwise.lift(label, label, 0.01, np.ones(len(label)))
  np.testing.assert_allclose(best, 1 / label.mean())


def test_one_label_has_no_auc():
  with pytest.raises(ValueError, match="one label only"):
    pointwise.scores(np.ones(3), np.arange(3.0), np.zeros(3))
