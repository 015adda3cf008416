"""MovieLens-100K: will a user give this film 4 or 5 stars?

  python scripts/reproduce.py --table=ctr_movielens

Ten minutes on a CPU core.
"""

from adv_rec.experiments import ctr

_DATA = "dataset=movielens_100k"
_FAST = "evaluate_every=0,checkpoint_every=100,batch_size=1000"
_DEEP = "model.hidden=(64,32),learning_rate=0.003,l2=0.1,epochs=6"
_FGM = "attack.name=fgm,attack.epsilon=0.2"


def _run(method, name, *arguments):
  return {
    "method": method,
    "config": f"configs/ctr/{name}.py",
    "options": ",".join((_DATA, _FAST, *arguments)),
  }


def get_table():
  return {
    "title": "Ratings of 4 and 5, MovieLens-100K",
    "protocol": """8:1:1 at random, the same for every seed. A rating knows
      user, film, age, gender, occupation, genres and the ten films that its
      user rated before it; DIN sees these through the film, the others their
      mean. Rates, epochs, penalties and the size of the attack were chosen on
      validation. Differences below the deviation over seeds are ties.""",
    "metrics": ["auc", "gauc", "log_loss", "rig", "ece", "accuracy"],
    "seeds": 5,
    "prepare": ctr.open_data,
    "paired": [
      ("DeepFM + FGM", "DeepFM"),
      ("DIN + FGM", "DIN"),
      ("DNN", "Logistic regression"),
      ("DIN", "DNN"),
    ],
    "runs": [
      _run("Logistic regression", "logistic", "learning_rate=0.01,epochs=10"),
      _run("FM", "fm", "learning_rate=0.003,l2=0.1,epochs=6"),
      _run("DNN", "dnn", _DEEP),
      _run("DeepFM", "deepfm", _DEEP),
      _run("DeepFM + FGM", "deepfm", _DEEP, _FGM),
      _run("DCN-V2", "dcn_v2", _DEEP),
      _run("DIN", "din", _DEEP),
      _run("DIN + FGM", "din", _DEEP, _FGM),
    ],
  }
