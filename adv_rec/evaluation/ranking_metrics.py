"""Ranking quality from hits and counts, in float64 on the host.

For a user with n > 0 relevant items, h_r = 1 where the item at rank r is
relevant (else 0), and a cut-off k:

  hr         max_{r<=k} h_r
  precision  1/k sum_{r<=k} h_r; k also where fewer items could be ranked
  recall     1/n sum_{r<=k} h_r
  ndcg       sum_{r<=k} h_r / log2(r + 1)
             / sum_{r<=min(k,n)} 1 / log2(r + 1)
  mrr        1 / (rank of the first hit), 0 where it is past k
  map        1/min(k,n) sum_{r<=k} h_r precision@r

Sources: precision, recall, reciprocal rank and average precision as in Manning,
Raghavan and Schuetze 2008 (Introduction to Information Retrieval, chapter 8),
cut at k; nDCG of Jaervelin and Kekaelaeinen 2002 with binary gains and the
discount log2(r + 1) of Burges et al. 2005.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from adv_rec.evaluation.ranking import Ranking


def per_user(ranking: Ranking, ks: Sequence[int]) -> dict[str, np.ndarray]:
  """Each metric of each user: "ndcg@10" -> [U] float64.

  Users keep their place, so that two models can be compared user by user; a
  user without relevant items has NaN.

  Args:
    ranking: the hits [U, K] and the numbers of relevant items [U].
    ks: cut-offs, each from 1 to K.

  Returns:
    "hr@k", "precision@k", "recall@k", "ndcg@k", "mrr@k", "map@k" for each k.

  Raises:
    ValueError: a cut-off is outside 1..K.
  """
  width = ranking.hits.shape[1]
  for k in ks:
    if not 1 <= k <= width:
      raise ValueError(f"cut-off {k}: the ranking has ranks 1 to {width}")
  # The division by NaN instead of 0 leaves users without relevant items out.
  relevant = np.where(ranking.relevant > 0, ranking.relevant, np.nan)
  counted = relevant / relevant
  hits = ranking.hits.astype(np.float64)
  ranks = np.arange(1, width + 1)
  found = hits.cumsum(axis=1)
  gains = (hits / np.log2(ranks + 1)).cumsum(axis=1)
  ideal = (1 / np.log2(ranks + 1)).cumsum()
  average = (hits * found / ranks).cumsum(axis=1)
  first = np.where(ranking.hits.any(axis=1), ranking.hits.argmax(axis=1), width)

  result = {}
  for k in ks:
    hits_at_k = found[:, k - 1]
    reachable = np.clip(ranking.relevant, 1, k)
    result |= {
      f"hr@{k}": (hits_at_k > 0) * counted,
      f"precision@{k}": hits_at_k / k * counted,
      f"recall@{k}": hits_at_k / relevant,
      f"ndcg@{k}": gains[:, k - 1] / ideal[reachable - 1] * counted,
      f"mrr@{k}": np.where(first < k, 1 / (first + 1), 0) * counted,
      f"map@{k}": average[:, k - 1] / reachable * counted,
    }
  return result


def sums(values: Mapping[str, np.ndarray]) -> dict[str, float]:
  """Sums over the counted users, and their number as "users".

  The sums of disjoint sets of users add up, entry by entry.

  Args:
    values: from `per_user`: name -> [U], NaN for users not counted.

  Returns:
    The names of `values` -> sum, and "users" -> number of users counted.
  """
  first = next(iter(values.values()))
  return {name: float(np.nansum(v)) for name, v in values.items()} | {
    "users": float(np.isfinite(first).sum())
  }


def mean(totals: Mapping[str, float]) -> dict[str, float]:
  """Divides the `sums` by the number of users, which stays as "users".

  Raises:
    ValueError: no user is counted.
  """
  users = totals["users"]
  if not users:
    raise ValueError("no user has a relevant item: nothing can be evaluated")
  return {
    name: value if name == "users" else value / users
    for name, value in totals.items()
  }


def summarize(values: Mapping[str, np.ndarray]) -> dict[str, float]:
  """Means of `per_user` over the users with relevant items, and "users"."""
  return mean(sums(values))
