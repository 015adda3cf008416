"""What reviews say: good or bad, or any other label of a text."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from flax.core import FrozenDict

from adv_rec.data import atomic, pretrained, reviews, vocabulary
from adv_rec.data.reviews import PARTS
from adv_rec.evaluation import classes as measures
from adv_rec.experiments import classify, experiment, options, word_attacks
from adv_rec.experiments.answers import Rows
from adv_rec.experiments.classify import Task
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.models import minilm as bert
from adv_rec.models import text
from adv_rec.training import parallel
from adv_rec.types import Predictor

KINDS = ("cnn", "bigru", "transformer")
_SPLITS = {
  "folds": "fold {fold} of 10 is the test part",
  "given": "the split is the published one",
  "random": "8:1:1 at random",
}


def review_config() -> Config:
  """What classifiers of reviews share."""
  config = classify.classify_config()
  config.dataset = "rotten_tomatoes"  # see data.reviews; "": data.path
  config.data.update(
    {
      "columns": {"text": "text", "label": "label"},  # of your own reviews
      "length": 40,  # words of a text that are read, or Chinese characters
      "labelled": 1.0,  # share of train whose labels are known
    }
  )
  config.batch_size = 64
  config.attack.whole = True
  config.augment = word_attacks.augment_config()
  config.evaluation.update(
    {
      "words": (),  # attacks on words, see word_attacks.NAMES
      "tries": 8,  # outcomes of a random one, of which the worst counts
    }
  )
  return config


def words_config() -> Config:
  """The config of models that learn words from the reviews alone."""
  config = review_config()
  config.experiment = "adv_rec.experiments.sentiment.words"
  config.update({"epochs": 6, "learning_rate": 3e-3, "decay": True})
  config.checkpoint_every = 6
  config.attack.update({"relative": True, "epsilon": 0.02})
  # A word that occurs less often in train is unknown, as any other later.
  config.data.update({"least": 2})
  config.model = {
    "kind": "cnn",  # see KINDS
    "dim": 64,
    "scale": 0.1,  # of new word vectors
    "normalized": False,  # word vectors, as absolute epsilons ask for
    "word_dropout": 0.2,
    "dropout": 0.5,
    "widths": (3, 4, 5),  # of cnn
    "filters": 64,  # of each width
    "hidden": 64,  # of bigru, in each direction
    "blocks": 2,  # of transformer
    "heads": 4,
  }
  return config


def pretrained_config() -> Config:
  """The config of MiniLM."""
  config = review_config()
  config.experiment = "adv_rec.experiments.sentiment.minilm"
  config.minilm = {
    "path": "",  # folder of its files; "": the package
    "tuning": "full",  # adapters, prefix or lora
    "rank": 16,  # units of an adapter, keys of a prefix, r of LoRA
    "dropout": 0.1,
  }
  config.update({"batch_size": 32, "epochs": 3, "decay": True})
  config.learning_rate = 5e-5
  config.evaluation.block = 128
  return config


def words(config: Config, workdir: pathlib.Path) -> Experiment:
  """A network of words that are learnt with it."""
  _check(config)
  options.one_of(KINDS, config, "model.kind")
  options.at_least(1, config, "data.least")
  found = _data(config, workdir, config.data.least)
  language, names = found["language"], found["classes"]
  known = vocabulary.load(workdir / "data" / "vocabulary.json")

  def encode(texts: Sequence[str]) -> dict[str, np.ndarray]:
    lists = (reviews.tokens(one, language) for one in texts)
    return {"tokens": known.encode(lists, config.data.length)}

  def words_of(rows: Rows) -> list[list[str]]:
    return [[known.words[i] for i in row] for row in rows["tokens"]]

  predictor = text.predictor(
    _network(config, len(names)),
    known.counts,
    config.model.dim,
    config.model.scale,
    config.model.normalized,
    config.model.word_dropout,
  )
  found["counts"]["words"] = len(known.words)
  return _experiment(config, workdir, found, predictor, encode, words_of)


def minilm(config: Config, workdir: pathlib.Path) -> Experiment:
  """A pretrained encoder of English, tuned."""
  _check(config)
  options.one_of(bert.TUNINGS, config, "minilm.tuning")
  options.at_least(1, config, "minilm.rank")
  found = _data(config, workdir)
  if found["language"] != "en":
    raise ValueError(
      f"{found['name']}: these reviews are Chinese, which MiniLM was not"
      " trained on; choose configs/sentiment/cnn.py"
    )
  encoder = pretrained.minilm(config.minilm.path or None)
  layers = bert.Encoder(
    FrozenDict(encoder.config),
    config.minilm.tuning,
    config.minilm.rank,
    config.minilm.dropout,
  )
  predictor = bert.predictor(
    layers,
    bert.convert(encoder.weights),
    config.minilm.dropout,
    len(found["classes"]),
  )

  def encode(texts: Sequence[str]) -> dict[str, np.ndarray]:
    return {"tokens": encoder.encode(texts, config.data.length)}

  def words_of(rows: Rows) -> list[list[str]]:
    piece = encoder.tokenizer.id_to_token
    return [[piece(int(i)) for i in row] for row in rows["tokens"]]

  shapes = jax.eval_shape(predictor.init, jax.random.key(0))
  learnt = predictor.trainable(shapes) if predictor.trainable else None
  share = bert.share(shapes, learnt)
  return _experiment(
    config, workdir, found, predictor, encode, words_of, {"test/share": share}
  )


def _network(config: Config, classes: int):
  model = config.model
  if model.kind == "cnn":
    return text.CNN(tuple(model.widths), model.filters, model.dropout, classes)
  if model.kind == "bigru":
    return text.BiGRU(model.hidden, model.dropout, classes)
  return text.Transformer(
    config.data.length, model.blocks, model.heads, model.dropout, classes
  )


def _experiment(
  config: Config,
  workdir: pathlib.Path,
  found: dict[str, Any],
  predictor: Predictor,
  encode: Callable[[Sequence[str]], dict[str, np.ndarray]],
  words_of: Callable[[Rows], list[list[str]]],
  extra: dict[str, float] | None = None,
) -> Experiment:
  table = pq.ParquetFile(workdir / "data" / "reviews.parquet").read()
  part = table["part"].to_numpy()
  texts, label = table["text"].to_pylist(), table["label"].to_numpy()
  # Two classes have one logit, whose label is a number.
  kind = np.float32 if len(found["classes"]) == 2 else np.int32
  parts = {}
  for number, name in enumerate(PARTS):
    mine = part == number
    if name == "train":
      mine |= part == len(PARTS)  # copies, see word_attacks.augment
    rows = np.flatnonzero(mine)
    parts[name] = {
      **encode([texts[row] for row in rows]),
      "label": label[rows].astype(kind),
    }
  rng = np.random.default_rng([config.seed, 4])
  hidden = rng.random(len(parts["train"]["label"])) >= config.data.labelled
  parts["train"]["label"][hidden] = -1
  task = Task(
    parts=parts,
    predictor=predictor,
    classes=found["classes"],
    measures=lambda logits, rows: measures.scores(rows["label"], logits),
    watch="accuracy",
    dataset={k: v for k, v in found.items() if k != "classes"},
    encode=encode,
    names=words_of,
    text=config.data.columns.text,
    extra=extra or {},
  )
  made = classify.classify_experiment(config, task)
  return word_attacks.measured(config, made, workdir)


def _data(
  config: Config, workdir: pathlib.Path, least: int | None = None
) -> dict[str, Any]:
  """What data/ of the workdir holds: texts, their parts, their vocabulary.

  Args:
    config: with "dataset" and "data".
    workdir: gets the folder data/, so that it needs nothing else later.
    least: of the vocabulary; None: none is needed.

  Returns:
    "name", "language", "classes", "counts", "protocol", "fingerprint".
  """
  folder = workdir / "data"

  def prepare() -> None:
    if config.dataset:
      source = reviews.find(config.dataset, config.data.path or None)
    elif config.data.path:
      source = reviews.read(config.data.path, config.data.columns.to_dict())
    else:
      raise ValueError(
        "no reviews: name a dataset (dataset=...), or give data.path=FILE"
      )
    name = config.dataset or pathlib.Path(config.data.path).name
    parts = reviews.split(source, config.seed)
    which = "given" if source.given is not None else "random"
    which = "folds" if source.folds else which
    split = _SPLITS[which].format(fold=config.seed % reviews.FOLDS)
    described = {
      "name": name,
      "language": source.language,
      "classes": source.classes,
      "counts": {part: len(rows.texts) for part, rows in parts.items()},
      "protocol": {"split": split},
      "fingerprint": _fingerprint(source),
    }

    def fill(new: pathlib.Path) -> None:
      train = parts["train"]
      copies, labels = word_attacks.augment(
        config, train.texts, train.labels, source.language
      )
      counts = [len(rows.texts) for rows in parts.values()]
      columns = {
        "text": [one for rows in parts.values() for one in rows.texts] + copies,
        "label": np.concatenate(
          [*(rows.labels for rows in parts.values()), labels]
        ),
        "part": np.repeat(
          np.arange(len(PARTS) + 1, dtype=np.int8), [*counts, len(copies)]
        ),
      }
      pq.write_table(pa.table(columns), new / "reviews.parquet")
      experiment.write_json(new / "reviews.json", described)
      if least is not None:
        lists = (
          reviews.tokens(one, source.language) for one in parts["train"].texts
        )
        vocabulary.fit(lists, least).save(new / "vocabulary.json")

    atomic.replace(folder, fill)

  if not folder.is_dir():
    parallel.on_one_process(prepare)
  return json.loads((folder / "reviews.json").read_text())


def _fingerprint(source: reviews.Reviews) -> str:
  """Of all texts and labels, whatever part they are in."""
  digest = hashlib.sha256(source.labels.tobytes())
  for one in source.texts:
    digest.update(one.encode("utf-8", "surrogatepass") + b"\0")
  return digest.hexdigest()[:16]


def _check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  classify.check(config)
  word_attacks.check(config)
  options.at_least(2, config, "data.length")
  options.above_zero(config, "data.labelled")
