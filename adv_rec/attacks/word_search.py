"""Attacks that ask a model: which words to change so that it errs.

They see chances of the classes only, no gradient, and count what they ask.
Many texts are attacked side by side, so that each question to the model is a
large batch: an attack on one text is a generator, which yields texts and is
sent their chances, and `play` answers all that are waiting at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

import numpy as np

from adv_rec.attacks import words as words_of
from adv_rec.attacks.words import Candidates, Transform

Chances = Callable[[Sequence[str]], np.ndarray]  # N texts -> [N, C], sums 1
Embed = Callable[[Sequence[str]], np.ndarray]  # N texts -> [N, D]
# Yields texts, is sent their chances, returns the text it ends with.
Player = Generator[Sequence[str], np.ndarray, str]


class Found(NamedTuple):
  """What attacks have made of texts.

  Attributes:
    texts: N, in the order of the attacked ones.
    queries: [N] int, texts whose chances were asked for.
  """

  texts: list[str]
  queries: np.ndarray


def search(
  texts: Sequence[str],
  labels: np.ndarray,
  chances: Chances,
  candidates: Candidates,
  share: float = 0.4,
  embed: Embed | None = None,
  similarity: float = 0.8,
  most: int = 20,
  longest: int = 1000,
) -> Found:
  """Changes the words that matter most, one by one, until the answer is wrong.

  TextFooler (Jin et al. 2020, arXiv:1907.11932, algorithm 1): words are ranked
  by what leaving them out does to the chance of the label (eq. 2); of the
  candidates for a word the one that lowers it most stays, or, as soon as some
  change the answer, of these the one most similar to the text. Texts that the
  model gets wrong at once are left as they are.

  Args:
    texts: N of them.
    labels: [N] int, the true classes.
    chances: the model.
    candidates: what may stand for a word.
    share: of the words that may change, see `words.budget`.
    embed: of texts, for the guard; None for no guard.
    similarity: least cosine of the changed text with the original one.
    most: candidates of a word that are looked at.
    longest: words of a text that are looked at, the first ones.

  Raises:
    ValueError: the share is not in (0, 1].
  """
  words_of.check_share(share)
  alike = _alike(embed, similarity)

  def player(text: str, label: int) -> Player:
    (before,) = yield [text]
    if np.argmax(before) != label:
      return text
    words, gaps = words_of.split(text)
    places = [i for i, w in enumerate(words[:longest]) if candidates(w)]
    if not places:
      return text
    without = [_with(words, gaps, i, "") for i in places]
    importance = _importance(before, (yield without), label)
    left, lowest = words_of.budget(len(words), share), before[label]
    for rank in np.argsort(-importance, kind="stable"):
      place = places[rank]
      choices = candidates(words[place])[:most]
      others = [_with(words, gaps, place, word) for word in choices]
      cosines = alike(text, others)
      allowed = np.flatnonzero(cosines >= similarity)
      if not len(allowed):
        continue
      after = yield [others[i] for i in allowed]
      wrong = np.flatnonzero(after.argmax(axis=1) != label)
      if len(wrong):
        return others[max(allowed[wrong], key=lambda i: cosines[i])]
      best = int(np.argmin(after[:, label]))
      if after[best, label] < lowest:
        lowest = after[best, label]
        words[place] = choices[allowed[best]]
        left -= 1
        if not left:
          break
    return words_of.join(words, gaps)

  return play(
    [
      player(text, int(label))
      for text, label in zip(texts, labels, strict=True)
    ],
    chances,
  )


def worst_of(
  texts: Sequence[str],
  labels: np.ndarray,
  chances: Chances,
  transform: Transform,
  tries: int,
  rng: np.random.Generator,
) -> Found:
  """Of some random outcomes, the one by which the label is least likely.

  One try is no search at all: the text as it comes, whose answer is the one
  query. This is the control of `search` with the same candidates and share.

  Args:
    texts: N of them.
    labels: [N] int, the true classes.
    chances: the model.
    transform: from `words.replacement` or `back_translation`.
    tries: outcomes to choose from, at least 1.
    rng: of the outcomes.

  Raises:
    ValueError: tries is less than 1.
  """
  if tries < 1:
    raise ValueError(f"worst_of needs tries >= 1, got {tries}")
  outcomes = [transform(texts, rng) for _ in range(tries)]

  def player(row: int) -> Player:
    mine = [outcome[row] for outcome in outcomes]
    after = yield mine
    return mine[int(np.argmin(after[:, int(labels[row])]))]

  return play([player(row) for row in range(len(texts))], chances)


def play(players: Sequence[Player], chances: Chances) -> Found:
  """Runs attacks side by side; a batch has a question of each that goes on."""
  texts, queries = [""] * len(players), np.zeros(len(players), int)
  sent: dict[int, np.ndarray | None] = dict.fromkeys(range(len(players)))
  while sent:
    asked: dict[int, Sequence[str]] = {}
    for row, answer in sent.items():
      player = players[row]
      try:
        asked[row] = next(player) if answer is None else player.send(answer)
      except StopIteration as end:
        texts[row] = end.value
    batch = [text for some in asked.values() for text in some]
    answers = chances(batch) if batch else np.empty((0, 0))
    sent, start = {}, 0
    for row, some in asked.items():
      sent[row] = answers[start : start + len(some)]
      start += len(some)
      queries[row] += len(some)
  return Found(texts, queries)


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
  """Of rows of two arrays; 1 where both are zero. [N, D], [N, D] -> [N]."""
  lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
  same = (one == other).all(axis=1)
  product = np.einsum("nd,nd->n", one, other)
  return np.where(same, 1.0, product / np.where(lengths > 0, lengths, 1.0))


def _alike(embed: Embed | None, least: float):
  """(text, others) -> cosines with it, [N]; all alike without an embedding."""

  def alike(text: str, others: Sequence[str]) -> np.ndarray:
    if embed is None:
      return np.full(len(others), max(least, 1.0))
    rows = embed([text, *others])
    return cosine(np.broadcast_to(rows[0], rows[1:].shape), rows[1:])

  return alike


def _with(
  words: Sequence[str], gaps: Sequence[str], place: int, word: str
) -> str:
  return words_of.join([*words[:place], word, *words[place + 1 :]], gaps)


def _importance(
  before: np.ndarray, after: np.ndarray, label: int
) -> np.ndarray:
  """Of words by the chances without them. [C], [W, C] -> [W].

  What the label loses and, where the answer changes, what the new one gains.
  """
  answer = after.argmax(axis=1)
  gained = after[np.arange(len(after)), answer] - before[answer]
  return before[label] - after[:, label] + np.where(answer != label, gained, 0)
