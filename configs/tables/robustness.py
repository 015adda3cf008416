"""Classifiers under attack: texts and clicks, plain and adversarially trained.

  python scripts/reproduce.py --table=robustness

Needs apt-get install wordnet apertium-eng-spa, and pip install '.[words]'. Half
an hour on 2 CPU cores.
"""

_ATTACKS = 'evaluation.attacks=("fgm","pgd","random","search")'
_WORDS = 'evaluation.words=("noise","synonyms","back_translation","search")'
_FAST = "evaluate_every=0,checkpoint_every=100"
_FIT = "fit=train+validation"
_TEXT_SIZES = "evaluation.robustness=(0.05,0.1)"
_CLICK_SIZES = "evaluation.robustness=(0.1,0.25)"
_TEXT_FGM = "attack.name=fgm,attack.relative=true,attack.epsilon=0.05"
_CLICK_FGM = "attack.name=fgm,attack.epsilon=0.25"


def _text(method, *arguments):
  given = (
    _FAST,
    "dataset=rotten_tomatoes",
    _FIT,
    _TEXT_SIZES,
    _ATTACKS,
    _WORDS,
  )
  return {
    "method": method,
    "config": "configs/sentiment/cnn.py",
    "options": ",".join((*given, *arguments)),
  }


def _click(method, *arguments):
  given = (_FAST, "dataset=frappe", _FIT, _CLICK_SIZES, _ATTACKS)
  return {
    "method": method,
    "config": "configs/ctr/deepfm.py",
    "options": ",".join((*given, *arguments)),
  }


def get_table():
  return {
    "title": "Classifiers under attack",
    "protocol": """Rotten Tomatoes: seed s tests fold s of ten. Frappe: one
      split, seeds of training. Attacked is the test part, each example by
      itself, by its true label.""",
    "metrics": ["accuracy"],
    "extra": [
      "noise",
      "synonyms",
      "back_translation",
      "search",
      "search_random",
      "auc",
    ],
    "log": False,
    "own_data": True,
    "seeds": 3,
    "runs": [
      _text("Text CNN"),
      _text("Text CNN + FGM", _TEXT_FGM),
      _click("DeepFM"),
      _click("DeepFM + FGM", _CLICK_FGM),
    ],
    "paired": [
      ("Text CNN + FGM", "Text CNN"),
      ("DeepFM + FGM", "DeepFM"),
    ],
  }
