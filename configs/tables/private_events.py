"""Generated event sequences, households protected, by epsilon.

  python scripts/reproduce.py --table=private_events

Minutes a run on 2 CPU cores; `pip install '.[private]'`.
"""

_CONFIG = "configs/private/events.py"
_MODELS = (
  ("Recurrent", "model.kind=recurrent"),
  ("Markov chain", "model.kind=markov"),
)
_EPSILONS = (1.0, 3.0, 8.0)


def _run(method, options):
  return {"method": method, "config": _CONFIG, "options": options}


def get_table():
  return {
    "title": "Private event sequences, The Complete Journey",
    "protocol": """Sequences, parts and measures as in the table of event sequences,
      but encoded by what is declared of the log: other cells, so that nll is
      not comparable with that table's. The unit of privacy is a household with
      all rows, delta 1e-5. Recurrent: DP-SGD of maximum likelihood. Markov
      chain: noisy counts. Of infinite epsilon are the same models without clip
      and noise. auc: of a random forest that tells generated from real
      sequences, .5 is best; real_...: the same measure of the households learnt
      from against those held out. Steps, clips, bounds and how counts are
      smoothed were chosen by validation on seed 0; a budget is one run's, and
      these trials are not part of it.""",
    "metrics": [
      "nll",
      "type",
      "category",
      "gap",
      "amount",
      "transition",
      "per_day",
      "basket",
      "distinct",
      "auc",
    ],
    "extra": ["real_transition", "real_per_day", "real_basket", "real_auc"],
    "log": False,
    "seeds": 3,
    "runs": [
      run
      for title, model in _MODELS
      for run in (
        *(
          _run(
            f"{title}, epsilon {epsilon:g}",
            f"{model},privacy.epsilon={epsilon}",
          )
          for epsilon in _EPSILONS
        ),
        _run(f"{title}, epsilon infinity", f"{model},privacy.enabled=False"),
      )
    ],
  }
