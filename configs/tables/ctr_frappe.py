"""Frappe: which app will a user take in this context?

  python scripts/reproduce.py --table=ctr_frappe

Published rows: BARS-CTR, Frappe_x1, means over its five seeds. They are of
other negatives, drawn by the same rule: orders of methods compare, and values
to a few thousandths. A quarter of an hour on a CPU core.
"""

from adv_rec.experiments import ctr

_DATA = "dataset=frappe"
_FAST = "evaluate_every=0,checkpoint_every=100"
_FGM = "attack.name=fgm"


def _published(method, auc):
  return {
    "method": method,
    "source": "BARS-CTR, Frappe_x1",
    "metrics": {"auc": auc},
  }


def _run(method, name, *arguments):
  return {
    "method": method,
    "config": f"configs/ctr/{name}.py",
    "options": ",".join((_DATA, _FAST, *arguments)),
  }


def get_table():
  return {
    "title": "Clicks, Frappe",
    "protocol": """Each of 96,203 records of use is paired with two apps that
      its user has not used in that context; 7:2:1 at random. Negatives and
      split are the same for every seed. Rates, epochs, penalties and the size
      of the attack were chosen on validation. FGM moves the embedding row of
      each field of an example, by a share of the median row norm.""",
    "metrics": ["auc", "gauc", "log_loss", "rig", "ece", "accuracy"],
    "seeds": 5,
    "prepare": ctr.open_data,
    "published": [
      _published("LR", 0.9356),
      _published("FM", 0.9671),
      _published("NFM", 0.9804),
      _published("DeepFM", 0.9839),
      _published("DCN-V2", 0.9838),
      _published("DNN", 0.9840),
    ],
    "paired": [
      ("FM + FGM", "FM"),
      ("DNN + FGM", "DNN"),
      ("DeepFM + FGM", "DeepFM"),
      ("DCN-V2 + FGM", "DCN-V2"),
    ],
    "runs": [
      _run("Logistic regression", "logistic"),
      _run("FM", "fm"),
      _run("FM + FGM", "fm", _FGM),
      _run("DNN", "dnn"),
      _run("DNN + FGM", "dnn", _FGM),
      _run("DeepFM", "deepfm"),
      _run("DeepFM + FGM", "deepfm", _FGM),
      _run("DCN-V2", "dcn_v2"),
      _run("DCN-V2 + FGM", "dcn_v2", _FGM),
    ],
  }
