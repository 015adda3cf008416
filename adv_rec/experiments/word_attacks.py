"""Attacks on words by name: augmentation of training texts, and evaluation.

noise             misspellings; look-alike and sound-alike Chinese characters
synonyms          of WordNet; of Chinese, neighbours among word vectors
neighbours        among word vectors, of any language
back_translation  through Spanish, by Apertium; English only
search            the few synonyms that matter, found by asking the model
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ml_collections
import numpy as np
import pyarrow.parquet as pq

from adv_rec.attacks import (
  back_translation,
  noise,
  word_search,
  word_vectors,
  wordnet,
  words,
)
from adv_rec.data.reviews import PARTS
from adv_rec.evaluation import words as measures
from adv_rec.experiments import classify, experiment, options
from adv_rec.experiments.answers import Apply
from adv_rec.experiments.classify import Task
from adv_rec.experiments.experiment import Experiment
from adv_rec.experiments.options import Config
from adv_rec.types import Params, State

NAMES = ("noise", "synonyms", "neighbours", "back_translation", "search")
_RANDOM = 0.2  # share of the words that random replacement changes
_SEARCHED = 0.4  # that search changes at most
_COSINE = 0.5  # of neighbours
_SIMILAR = 0.8  # of what search makes with its text


def augment_config() -> dict[str, Any]:
  """The options "augment" of a classifier of texts."""
  return {
    "name": "",  # some of NAMES but search, joined by "+"; "": none
    "share": 1.0,  # copies of a training text, by each of them
  }


def check(config: Config) -> None:
  """Refuses bad options before the data is read."""
  options.at_least(0, config, "augment.share")
  options.at_least(1, config, "evaluation.tries")
  asked = filter(None, config.augment.name.split("+"))
  _known(asked, "augment.name", [n for n in NAMES if n != "search"])
  _known(config.evaluation.words, "evaluation.words", NAMES)


def augment(
  config: Config, texts: Sequence[str], labels: np.ndarray, language: str
) -> tuple[list[str], np.ndarray]:
  """Changed copies of training texts, and their labels.

  Args:
    config: with "augment" and "seed".
    texts: N of them.
    labels: [N].
    language: "en" or "zh".

  Raises:
    FileNotFoundError: a program that is asked for is not here.
    ValueError: back-translation of Chinese.
  """
  rng = np.random.default_rng([config.seed, 5])
  found, codes = [], [labels[:0]]
  for name in filter(None, config.augment.name.split("+")):
    whole, rest = divmod(config.augment.share, 1)
    drawn = np.flatnonzero(rng.random(len(texts)) < rest)
    rows = np.concatenate([np.tile(np.arange(len(texts)), int(whole)), drawn])
    transform = _transform(name, language, texts)
    found += transform([texts[int(row)] for row in rows], rng)
    codes.append(labels[rows])
  return found, np.concatenate(codes)


def read(workdir: pathlib.Path, part: str) -> tuple[list[str], np.ndarray]:
  """The texts of a part of a run's data, and their labels.

  Raises:
    ValueError: the run is not of texts.
  """
  file = workdir / "data" / "reviews.parquet"
  if not file.is_file():
    raise ValueError(
      f"{workdir} is no run of texts: there are no words to attack; choose a"
      " run of configs/sentiment"
    )
  table = pq.ParquetFile(file).read()
  mine = np.flatnonzero(table["part"].to_numpy() == PARTS.index(part))
  texts = table["text"].to_pylist()
  return [texts[row] for row in mine], table["label"].to_numpy()[mine]


def attack(
  config: Config,
  task: Task,
  params: Params,
  workdir: pathlib.Path,
  names: Sequence[str],
  part: str,
  source: tuple[Task, Params] | None = None,
) -> list[dict[str, Any]]:
  """The model of a run under attacks on the words of a part of its data.

  Random attacks take the worst of `evaluation.tries` outcomes for each text;
  back-translation has one. Beside `search` stands "search_random", the same
  candidates and share of words drawn at random once: what is lost without
  asking. Similarity is the cosine of mean word vectors, made of the training
  texts, and so is the guard of `search`.

  Args:
    config: of the run.
    task: of the run.
    params: of its model.
    workdir: of the run, with its texts.
    names: some of `NAMES`.
    part: whose texts.
    source: another model, which is asked in its place (transfer); the changed
      texts are then shown to this one.

  Returns:
    A list of {"attack", "part", **measures}; see `evaluation.words.measures`.

  Raises:
    FileNotFoundError: a program that is asked for is not here.
    ValueError: unknown name, or a run that is not of texts.
  """
  _known(names, "words", NAMES)
  texts, labels = read(workdir, part)
  language = task.dataset["language"]
  train, _ = read(workdir, "train")
  vectors = _vectors(tuple(train))
  embed = word_vectors.bag_of_vectors(vectors)
  chances = chances_of(config, task, params)
  asked = chances_of(config, *source) if source else chances
  # What the model that is asked gets wrong is no target of it.
  before = chances(texts).argmax(axis=1)

  def measured(name: str, found: word_search.Found) -> dict[str, Any]:
    pairs = zip(texts, found.texts, strict=True)
    changed = [
      measures.share_changed(words.split(a)[0], words.split(b)[0])
      for a, b in pairs
    ]
    return {
      "attack": name,
      "part": part,
      **measures.measures(
        labels,
        before,
        chances(found.texts).argmax(axis=1),
        np.array(changed),
        word_search.cosine(embed(texts), embed(found.texts)),
        found.queries,
      ),
    }

  def drawn(transform: words.Transform, tries: int) -> word_search.Found:
    rng = np.random.default_rng([config.seed, 6])
    return word_search.worst_of(texts, labels, asked, transform, tries, rng)

  rows = []
  for name in names:
    if name == "search":
      candidates = _candidates("synonyms", language, train)
      found = word_search.search(
        texts,
        labels,
        asked,
        candidates,
        _SEARCHED,
        embed,
        _SIMILAR,
        longest=config.data.length,
      )
      control = drawn(words.replacement(candidates, _SEARCHED), 1)
      rows += [measured(name, found), measured("search_random", control)]
    else:
      tries = 1 if name == "back_translation" else config.evaluation.tries
      transform = _transform(name, language, train)
      rows.append(measured(name, drawn(transform, tries)))
  return rows


def of_run(
  workdir: pathlib.Path,
  names: Sequence[str],
  part: str,
  tries: int,
  transfer: pathlib.Path | None = None,
) -> list[dict[str, Any]]:
  """`attack` of a trained run, from its workdir alone.

  Args:
    workdir: of the run.
    names: some of `NAMES`.
    part: whose texts.
    tries: of random attacks.
    transfer: of another run, whose model is asked in place of this one's.

  Raises:
    FileNotFoundError: no run is there, or a program is not here.
    ValueError: unknown name, or a run that is not of texts.
  """
  _known(names, "words", NAMES)
  models = []
  for place in filter(None, (workdir, transfer)):
    read(place, part)
    found, state = experiment.restore(place, robustness=(), words=())
    models.append((found.task, classify.best(state)))
  config: Config = ml_collections.ConfigDict(
    json.loads((workdir / "config.json").read_text("utf-8"))
  )
  config.evaluation.tries = tries
  (task, params), *other = models
  source = other[0] if other else None
  return attack(config, task, params, workdir, names, part, source)


def measured(
  config: Config, found: Experiment, workdir: pathlib.Path
) -> Experiment:
  """The experiment, and of its result what `evaluation.words` asks for.

  Each attack's accuracy is the metric PART/NAME; "words" has all of it. The
  part is validation while that is watched, as of curves, so that robustness
  can be chosen there.

  Raises:
    FileNotFoundError: a program that is asked for is not here.
    ValueError: an attack that these texts cannot be attacked by.
  """
  names = tuple(config.evaluation.words)
  if not names:
    return found
  if not (workdir / "result.json").exists():  # else the run is only read
    train, _ = read(workdir, "train")
    for name in names:
      asked = "synonyms" if name == "search" else name
      _transform(asked, found.task.dataset["language"], train)

  def finish(state: State) -> dict[str, Any]:
    result = dict(found.finish(state))
    part = "validation" if config.fit == "train" else "test"
    rows = attack(
      config, found.task, classify.best(state), workdir, names, part
    )
    accuracy = {f"{part}/{row['attack']}": row["accuracy"] for row in rows}
    return {
      **result,
      "metrics": {**result["metrics"], **accuracy},
      "words": rows,
    }

  return found._replace(finish=finish)


def chances_of(config: Config, task: Task, params: Params):
  """Texts -> chances of the classes [N, C], of a model of texts."""
  apply = Apply(task.predictor, config)

  def chances(texts: Sequence[str]) -> np.ndarray:
    logits = apply.logits(params, task.encode(texts))
    if logits.ndim == 1:
      logits = np.stack([np.zeros_like(logits), logits], axis=1)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)

  return chances


def _transform(
  name: str, language: str, texts: Sequence[str]
) -> words.Transform:
  if name == "back_translation":
    if language != "en":
      raise ValueError(
        "back_translation goes through Apertium's English and Spanish, and"
        " these texts are Chinese; choose noise or neighbours"
      )
    cache = pathlib.Path(
      os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    )
    return back_translation.back_translation(
      *(
        back_translation.cached(
          back_translation.apertium(pair),
          cache / "adv_rec" / f"apertium_{pair}",
        )
        for pair in ("eng-spa", "spa-eng")
      )
    )
  return words.replacement(_candidates(name, language, texts), _RANDOM)


def _candidates(
  name: str, language: str, texts: Sequence[str]
) -> words.Candidates:
  """Of a word, by the name of an attack; `texts` are those of training."""
  if name == "noise":
    return noise.noise
  if name == "synonyms" and language == "en":
    return wordnet.synonyms(wordnet.read())
  return _neighbours(tuple(texts), language)


@functools.lru_cache(2)
def _neighbours(texts: tuple[str, ...], language: str) -> words.Candidates:
  guard: Callable[[str, str], bool] = lambda word, other: True  # noqa: E731
  if language == "en":
    guard = wordnet.same_part(wordnet.read())
  return word_vectors.neighbours(_vectors(texts), _COSINE, guard=guard)


@functools.lru_cache(2)
def _vectors(texts: tuple[str, ...]) -> word_vectors.Vectors:
  return word_vectors.from_texts(texts)


def _known(names: Iterable[str], option: str, choices: Sequence[str]) -> None:
  for name in names:
    if name not in choices:
      raise ValueError(f"{option} {name!r}: choose {', '.join(choices)}")
