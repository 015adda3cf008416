"""What a household, or a product, stands out by, in counts. Arrow and NumPy.

A lift is what there is over what is expected by the shares of all: 2 is twice
as much. A constant added to both keeps a single purchase of something rare from
being a taste.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PRIOR_DOLLARS = 20.0
_PRIOR_HOUSEHOLDS = 5.0
_DAY_PARTS = ("night", "morning", "afternoon", "evening")  # six hours each

Facts = list[dict[str, Any]]


def tastes(purchases: pa.Table, household: int, most: int = 10) -> Facts:
  """Categories a household spends on more than others do, by lift.

  Args:
    purchases: from `behaviour.read_purchases`.
    household: its id.
    most: categories.

  Returns:
    {"name", "dollars", "share", "lift"} each.
  """
  everyone = _dollars(purchases)
  own = _dollars(
    purchases.filter(pc.equal(purchases["household_id"], household))
  )
  total, mine = sum(everyone.values()), sum(own.values())
  found = []
  for name, dollars in own.items():
    expected = mine * everyone[name] / total
    found.append(
      {
        "name": name,
        "dollars": dollars,
        "share": dollars / max(mine, 1e-9),
        "lift": (dollars + _PRIOR_DOLLARS) / (expected + _PRIOR_DOLLARS),
      }
    )
  return sorted(found, key=lambda one: -one["lift"])[:most]


def bought(
  purchases: pa.Table, household: int, category: str, most: int = 3
) -> Facts:
  """What a household bought in a category, by dollars: {"name", "dollars"}."""
  mine = pc.and_(
    pc.equal(purchases["household_id"], household),
    pc.equal(purchases["product_category"], category),
  )
  own = _dollars(purchases.filter(mine), "product_type")
  ranked = sorted(own.items(), key=lambda one: -one[1])[:most]
  return [{"name": name, "dollars": dollars} for name, dollars in ranked]


def product(purchases: pa.Table, item: int) -> dict[str, Any]:
  """A product and who buys it.

  Returns:
    "name", "buyers" (ids of households), "lines", "dollars", "times" (shares
    of its lines by part of the day).

  Raises:
    ValueError: nobody bought it.
  """
  own = purchases.filter(pc.equal(purchases["product_id"], item))
  if not own.num_rows:
    raise ValueError(f"item {item}: no household has bought it")
  hours = pc.divide(pc.hour(own["transaction_timestamp"]), 6).to_numpy()
  shares = np.bincount(hours, minlength=4) / len(hours)
  words = [own[n][0].as_py() for n in ("product_category", "product_type")]
  return {
    "name": ", ".join(str(word) for word in words if word),
    "buyers": np.unique(own["household_id"].to_numpy()).tolist(),
    "lines": own.num_rows,
    "dollars": float(np.sum(own["sales_value"].to_numpy())),
    "times": dict(zip(_DAY_PARTS, shares.tolist(), strict=True)),
  }


def beside(purchases: pa.Table, buyers: list[int], most: int = 10) -> Facts:
  """Types of product that buyers also buy, by lift over all households.

  Returns:
    {"name", "share" (of the buyers), "lift"} each.
  """
  households = purchases["household_id"].to_numpy()
  names = purchases["product_type"].combine_chunks().dictionary_encode()
  code = pc.fill_null(names.indices, -1).to_numpy()
  words = names.dictionary.to_pylist()
  pair = np.unique(np.stack([households, code], 1)[code >= 0], axis=0)
  everyone = np.bincount(pair[:, 1], minlength=len(words))
  among = np.isin(pair[:, 0], buyers)
  some = np.bincount(pair[among, 1], minlength=len(words))
  expected = everyone * len(buyers) / len(np.unique(households))
  lift = (some + _PRIOR_HOUSEHOLDS) / (expected + _PRIOR_HOUSEHOLDS)
  return [
    {
      "name": words[i],
      "share": float(some[i] / len(buyers)),
      "lift": float(lift[i]),
    }
    for i in np.argsort(-lift, kind="stable")[:most]
  ]


def _dollars(
  purchases: pa.Table, kind: str = "product_category"
) -> dict[str, float]:
  sums = purchases.group_by(kind).aggregate([("sales_value", "sum")])
  pairs = zip(
    sums[kind].to_pylist(), sums["sales_value_sum"].to_pylist(), strict=True
  )
  return {name: dollars for name, dollars in pairs if name is not None}
