"""The protocol of a result in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from adv_rec.report.results import number

# Words for the values this project writes; other values are shown as they are.
_FEEDBACK = {
  "first": "each pair of user and item counts once, at its first time",
  "all": "every interaction is kept, repeated ones too",
}
_SPLIT = {
  "leave_one_out": "each user's last interaction is the test part, the one"
  " before it validation",
  "given": "the split is the published one",
}
_FIT = {
  "train": "the models are fitted to the train part",
  "train+validation": "the models are fitted to train and validation together",
}
_TIES = {
  "count against": "where scores are equal, misses are ranked before hits",
}


def leaves(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
  """A nested mapping as dotted path -> value."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, Mapping):
      flat |= leaves(value, f"{path}{key}.")
    else:
      flat[f"{path}{key}"] = value
  return flat


def sentences(dataset: Mapping[str, Any]) -> list[str]:
  """What was done to the data and how lists were judged, a sentence each.

  Args:
    dataset: "dataset" of a result.json, with `counts` and `protocol`. A
      setting counts by its own name, however deep it is nested; what is
      missing or None is not mentioned.
  """
  protocol = dataset.get("protocol") or {}
  if not isinstance(protocol, Mapping):
    return _finish([f"protocol: {protocol}"])
  facts = {
    path.split(".")[-1]: value
    for path, value in leaves(protocol).items()
    if value is not None
  }
  return _finish(
    [*_filters(facts), *_split(facts), *_cold(facts), *_judging(facts)]
  )


def _filters(facts: Mapping[str, Any]) -> Iterable[str]:
  if facts.get("min_value") is not None:
    yield f"only values of at least {facts['min_value']} are kept"
  if "feedback" in facts:
    yield _words(_FEEDBACK, facts["feedback"], "feedback: {}".format)
  if facts.get("k_core"):
    k = facts["k_core"]
    yield (
      f"users and items with fewer than {k} interactions are dropped until"
      f" none is left ({k}-core)"
    )
  if isinstance(facts.get("filter"), str):
    yield f"filter: {facts['filter']}"


def _split(facts: Mapping[str, Any]) -> Iterable[str]:
  split, test = facts.get("split"), number(facts.get("test_fraction"))
  validation = number(facts.get("validation_fraction"))
  which = {"temporal": "the latest", "random": "a random"}.get(str(split))
  if which and test is not None:
    sentence = f"of each user's interactions {which} {_percent(test)} are test"
    if validation:
      sentence += (
        f", and of the others {which} {_percent(validation)} validation"
      )
    yield sentence
  elif split == "new_users" and test is not None:
    yield (
      f"of {_percent(test)} of the users all but the first"
      f" {facts.get('known')} interactions are test, and of"
      f" {_percent(validation or 0.0)} of the others validation"
    )
  elif split is not None:
    yield _words(_SPLIT, split, "split: {}".format)


def _cold(facts: Mapping[str, Any]) -> Iterable[str]:
  validation, test = (
    number(facts.get(f"{part}_share")) for part in ("validation", "test")
  )
  if validation is not None and test is not None:
    yield (
      f"{_percent(validation)} of the items, the same for every seed, are cold"
      f" validation items, and {_percent(test)}, drawn by the seed from the"
      " others, cold test items: no interaction with them is in training"
    )


def _judging(facts: Mapping[str, Any]) -> Iterable[str]:
  if "fit" in facts:
    yield _words(_FIT, facts["fit"], "fitted to: {}".format)
  if "mask" in facts:
    yield f"left out of a user's list: {facts['mask']}"
  if "candidates" in facts:
    yield f"ranked: {facts['candidates']}"
  if "ties" in facts:
    yield _words(_TIES, facts["ties"], "ties: {}".format)


def _words(
  known: Mapping[str, str], value: Any, otherwise: Callable[[Any], str]
) -> str:
  return known.get(str(value)) or otherwise(value)


def _percent(share: float) -> str:
  return f"{100 * share:.3g}\u00a0%"


def _finish(clauses: Iterable[str]) -> list[str]:
  return [clause[:1].upper() + clause[1:] + "." for clause in clauses]
