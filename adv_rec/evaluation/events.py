"""How like generated sequences of events are to real ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

_RUN = 8  # events in a row that count as copied
_TREES = 200


class Meaning(NamedTuple):
  """What codes stand for.

  Attributes:
    type: [K] int, the type of each kind; the end is the last kind.
    category: [K] int, likewise.
    sizes: K with the end, cells of gaps, cells of amounts.
  """

  type: np.ndarray
  category: np.ndarray
  sizes: tuple[int, int, int]


class Sample(NamedTuple):
  """Sequences of events.

  Attributes:
    codes: [N, L, 3] int, kind, gap, amount; -1 for none.
    days: [N, L] days since the event before; 0 for none.
    amounts: [N, L]; 0 for none.
  """

  codes: np.ndarray
  days: np.ndarray
  amounts: np.ndarray


def distances(real: Sample, fake: Sample, meaning: Meaning) -> dict[str, float]:
  """How far generated sequences are from real ones; 0 is best.

  Returns:
    "type", "category", "gap", "amount": total variation, half the sum of the
    absolute differences, of the shares of their values among all events;
    "transition": the same of pairs of kinds that follow each other, the end
    among them; "per_day", "basket", "distinct": the greatest difference
    (Kolmogorov-Smirnov) of the distribution functions of `statistics`.
  """
  result = {}
  for name, of in (
    ("type", lambda x: meaning.type[_kinds(x, meaning)]),
    ("category", lambda x: meaning.category[_kinds(x, meaning)]),
    ("gap", lambda x: x.codes[..., 1][x.codes[..., 1] >= 0]),
    ("amount", lambda x: x.codes[..., 2][x.codes[..., 2] >= 0]),
    ("transition", lambda x: _pairs(x, meaning)),
  ):
    result[name] = _total_variation(of(real), of(fake))
  one, two = (statistics(x, meaning) for x in (real, fake))
  for name in ("per_day", "basket", "distinct"):
    result[name] = float(scipy.stats.ks_2samp(one[name], two[name]).statistic)
  return result


def statistics(x: Sample, meaning: Meaning) -> dict[str, np.ndarray]:
  """What a sequence is like as a whole, [N] each.

  Returns:
    "events"; "per_day", events a day; "basket", events at a moment; "distinct",
    the share of its events whose category none before them has; "again", the
    share of its events that come after another of their kind at the same
    moment; "amount", their mean.
  """
  there = _there(x, meaning)
  events = there.sum(axis=1)
  first = np.arange(there.shape[1]) == 0
  moments = (there & (first | (x.days > 0))).sum(axis=1)
  kind = np.where(there, x.codes[..., 0], -1)
  category = np.append(meaning.category, -1)[kind]
  moment = np.cumsum(first | (x.days > 0), axis=1)
  distinct, again = np.zeros((2, len(kind)))
  for row, own in enumerate(there):
    distinct[row] = len(np.unique(category[row][own]))
    pairs = moment[row][own] * len(meaning.type) + kind[row][own]
    again[row] = len(pairs) - len(np.unique(pairs))
  return {
    "events": events,
    "per_day": events / np.maximum(x.days.sum(axis=1), 1.0),
    "basket": events / moments,
    "distinct": distinct / events,
    "again": again / events,
    "amount": x.amounts.sum(axis=1) / events,
  }


def detection(real: Sample, fake: Sample, meaning: Meaning, seed: int) -> float:
  """AUC of a classifier that tells generated sequences from real ones.

  A random forest (scikit-learn) on shares of kinds, gaps and amounts, of pairs
  of types, and `statistics`; each sequence is scored by the trees that have
  not learnt from it. 0.5: it cannot (Lopez-Paz and Oquab 2017,
  arXiv:1610.06545).
  """
  size = min(len(real.codes), len(fake.codes))
  x = np.concatenate([_features(s, meaning)[:size] for s in (real, fake)])
  y = np.repeat([0, 1], size)
  forest = RandomForestClassifier(
    _TREES, min_samples_leaf=2, oob_score=True, random_state=seed
  ).fit(x, y)
  return float(roc_auc_score(y, forest.oob_decision_function_[:, 1]))


def copies(
  train: np.ndarray, sequences: np.ndarray, meaning: Meaning
) -> dict[str, float]:
  """How much is copied from what was learnt from.

  Args:
    train: [N, 3] codes of all events that were learnt from, user by user.
    sequences: [M, L, 3].
    meaning: of the codes.

  Returns:
    "copied_runs", the share of runs of 8 events that occur there, and
    "copies", the share of the sequences all of whose runs do, more than that
    of whole copies. The first event of a sequence has no gap and is in no run;
    sequences of fewer than 9 events are left out.
  """
  if len(train) < _RUN or sequences.shape[1] <= _RUN:
    return {"copies": 0.0, "copied_runs": 0.0}
  kind = sequences[:, _RUN:, 0]  # of the last event of each run
  there = (kind >= 0) & (kind < meaning.sizes[0] - 1)
  found = np.isin(runs(sequences[:, 1:], _RUN), runs(train[None], _RUN)) & there
  num = there.sum(axis=1)
  whole = (found.sum(axis=1) == num)[num > 0]
  return {
    "copies": float(whole.sum() / max(len(whole), 1)),
    "copied_runs": float(found.sum() / max(num.sum(), 1)),
  }


def runs(codes: np.ndarray, events: int) -> np.ndarray:
  """Each run of R events as a hash of 64 bits. [N, L, 3] -> [N, L - R + 1]."""
  odd = np.random.default_rng(0).integers(2**62, size=(events, 3)) * 2 + 1
  # Along the window; sums wrap around, as those of a hash may.
  windows = np.lib.stride_tricks.sliding_window_view(codes, events, axis=1)
  mixed = (windows.astype(np.int64) + 2) ** 3 * odd.T
  return mixed.sum(axis=(-1, -2))


def _there(x: Sample, meaning: Meaning) -> np.ndarray:
  """Where events are, the end not among them. [N, L]."""
  kind = x.codes[..., 0]
  return (kind >= 0) & (kind < meaning.sizes[0] - 1)


def _kinds(x: Sample, meaning: Meaning) -> np.ndarray:
  return x.codes[..., 0][_there(x, meaning)]


def _pairs(x: Sample, meaning: Meaning) -> np.ndarray:
  before, after = x.codes[:, :-1, 0], x.codes[:, 1:, 0]
  both = (before >= 0) & (after >= 0)
  return (before * meaning.sizes[0] + after)[both]


def _total_variation(a: np.ndarray, b: np.ndarray) -> float:
  size = int(max(a.max(initial=0), b.max(initial=0))) + 1
  p, q = (np.bincount(x, minlength=size) / max(len(x), 1) for x in (a, b))
  return float(np.abs(p - q).sum() / 2)


def _features(x: Sample, meaning: Meaning) -> np.ndarray:
  """[N, F]."""
  columns: list[np.ndarray] = list(statistics(x, meaning).values())
  events = np.maximum(_there(x, meaning).sum(axis=1), 1)
  for i, size in enumerate(meaning.sizes):
    for cell in range(size):
      columns.append((x.codes[..., i] == cell).sum(axis=1) / events)
  types = np.append(meaning.type, -1)[
    np.where(_there(x, meaning), x.codes[..., 0], -1)
  ]
  for a in range(meaning.type.max() + 1):
    for b in range(meaning.type.max() + 1):
      follows = (types[:, :-1] == a) & (types[:, 1:] == b)
      columns.append(follows.sum(axis=1) / events)
  days = np.log1p(x.days)
  columns += [days.std(axis=1), np.log1p(np.abs(x.amounts)).std(axis=1)]
  return np.stack(columns, axis=1)
