"""Generated event sequences beside simple chains and real households.

  python scripts/reproduce.py --table=events --jobs=2

Half an hour on 2 CPU cores.
"""

_CONFIG = "configs/generate/events.py"


def _run(method, options, **more):
  return {"method": method, "config": _CONFIG, "options": options, **more}


def get_table():
  return {
    "title": "Event sequences, The Complete Journey",
    "protocol": """Up to 48 events in a row of each household: purchases and coupons by
      department of a basket, campaigns received. 70 % of the households are
      learnt from, 15 % are for validation, 15 % for the figures below; split by
      household, the same in every run. nll: nats per held-out event. type to
      transition: total variation of the shares of values, of pairs of kinds
      that follow each other. per_day, basket, distinct: Kolmogorov-Smirnov
      distance of events a day, events a basket, share of distinct categories
      of a sequence. auc: of a random forest that tells generated from real
      sequences, by its out-of-bag scores, .5 is best. copied_runs: share of
      runs of 8 events that the households learnt from have. real_...: the same
      measure of the households learnt from against those held out, what equal
      distributions come to. The weight of the critic, .1, was chosen over 1 by
      validation on seed 0; not at all (maximum likelihood) is the row above.""",
    "metrics": [
      "nll",
      "type",
      "category",
      "gap",
      "amount",
      "transition",
      "real_transition",
      "per_day",
      "real_per_day",
      "basket",
      "real_basket",
      "distinct",
      "real_distinct",
      "auc",
      "real_auc",
      "copied_runs",
    ],
    "log": False,
    "seeds": 3,
    "paired": [("Adversarial", "Maximum likelihood")],
    "runs": [
      _run("Independent", "model.kind=independent"),
      _run("Markov chain", "model.kind=markov"),
      _run("Maximum likelihood", "adversary.weight=0.0"),
      _run("Adversarial", ""),
    ],
  }
