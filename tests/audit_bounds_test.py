"""How sure an audit is: closed forms, and the bounds of others."""

import math

import numpy as np
import pytest
from jax_privacy import auditing

from adv_rec.evaluation import audit_bounds, audit_membership


def test_intervals_have_their_closed_forms():
  z = 1.959963984540054
  none = audit_bounds.wilson(0, 100, 0.95)
  assert none.value == none.low == 0
  assert none.high == pytest.approx(z * z / (100 + z * z))
  half = audit_bounds.wilson(50, 100, 0.95)
  assert half.high - 0.5 == pytest.approx(z / 2 / math.sqrt(100 + z * z))
  # Of none of n, (1 - p)^n is what is allowed; of all of n, p^n.
  assert audit_bounds.upper(0, 50, 0.95) == pytest.approx(1 - 0.05 ** (1 / 50))
  assert audit_bounds.lower(50, 50, 0.95) == pytest.approx(0.05 ** (1 / 50))
  assert audit_bounds.upper(50, 50, 0.95) == 1
  assert audit_bounds.lower(0, 50, 0.95) == 0


def test_a_risk_is_what_exceeds_the_control():
  known = audit_bounds.residual(6000, 2000, 10_000, 0.95)
  assert known.value == pytest.approx(0.5, abs=1e-3)
  assert 0.48 < known.low < known.value < known.high < 0.52
  assert audit_bounds.residual(10, 30, 100, 0.95).value == 0
  gap = audit_bounds.difference(
    audit_bounds.wilson(56, 70, 0.95), audit_bounds.wilson(48, 80, 0.95)
  )
  # Newcombe 1998, table II, first example.
  assert gap.value == pytest.approx(0.2)
  assert gap.low == pytest.approx(0.0524, abs=1e-4)
  assert gap.high == pytest.approx(0.3339, abs=1e-4)


@pytest.mark.parametrize("delta", [0.0, 1e-3])
@pytest.mark.parametrize("tp, fp", [(300, 10), (1000, 0), (40, 40), (0, 0)])
def test_the_bound_of_known_rates_is_that_of_jax_privacy(tp, fp, delta):
  found = audit_bounds.epsilon(tp, 1000, fp, 1000, delta, 0.95)
  # Scores 1 are named, scores 0 are not.
  auditor = auditing.CanaryScoreAuditor(
    np.arange(1000) < tp, np.arange(1000) < fp
  )
  theirs = auditor.epsilon_clopper_pearson(
    0.05, delta, threshold_strategy=auditing.Explicit(0.5)
  )
  assert found == pytest.approx(theirs, abs=1e-9)
  if (tp, delta) == (1000, 0):
    end = 0.025 ** (1 / 1000)
    assert found == pytest.approx(math.log(end / (1 - end)))
  if tp <= fp:
    assert found == 0


def test_a_perfect_and_a_blind_attack():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(2, 2000))
  perfect = audit_membership.measures(x + 100, y, 0.95, rng)
  assert all(v["value"] == v["low"] == 1 for v in perfect.values())
  assert perfect["tpr@0.01"]["p_value"] < 1e-9
  blind = audit_membership.measures(x, y, 0.95, rng)
  assert blind["auc"]["low"] < 0.5 < blind["auc"]["high"]
  assert blind["tpr@0.01"]["value"] == pytest.approx(0.01, abs=0.01)
  tied = audit_membership.measures(0 * x, 0 * y, 0.95, rng)
  assert tied["auc"]["value"] == 0.5 and tied["tpr@0.01"]["value"] == 0
  # Two of two members above both others: one order of six.
  few = audit_membership.measures(x[:2] + 9, y[:2], 0.95, rng)
  assert few["tpr@0.01"]["p_value"] == pytest.approx(1 / 6)

  def least(shift):
    found = audit_membership.bound({"a": x + shift}, {"a": y}, 0, 0.95, rng)
    return found["lower"]

  assert least(0) < 0.2
  # All of 1,000 members named, none of as many others.
  assert least(100) == pytest.approx(5.6, abs=0.1)


def test_a_bound_is_exceeded_as_rarely_as_it_says():
  """Randomised response of epsilon 1, whose rates are known."""
  rng = np.random.default_rng(0)
  truth = math.e / (1 + math.e)
  found = []
  for _ in range(60):
    x, y = rng.random(400) < truth, rng.random(400) < 1 - truth
    scores = ({"a": x.astype(float)}, {"a": y.astype(float)})
    found.append(audit_membership.bound(*scores, 0, 0.9, rng)["lower"])
  assert np.mean(np.array(found) > 1) <= 0.1
  assert 0.5 < np.median(found) < 1
