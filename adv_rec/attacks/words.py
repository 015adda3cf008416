"""Words of a text, and putting others in their place. No JAX in here.

What may stand for a word is a function `Candidates`: `noise`, `synonyms`. A
`Transform` turns texts into others, seeded by a generator: `replacement`
draws words and candidates, `back_translation` translates there and back. As
augmentation it is applied to texts of training; as an attack, `word_search`
asks a model about its outcomes.

A word is a run of letters and digits, or one Chinese character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

# A word -> what may stand for it, best first; none for words to leave alone.
Candidates = Callable[[str], Sequence[str]]
# Texts -> as many others.
Transform = Callable[[Sequence[str], np.random.Generator], list[str]]

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(
  rf"[{CHINESE}]|(?:(?![{CHINESE}])[^\W_])+(?:['’-](?:(?![{CHINESE}])[^\W_])+)*"
)


def split(text: str) -> tuple[list[str], list[str]]:
  """The words of a text, n of them, and the n + 1 gaps around them."""
  words, gaps, end = [], [], 0
  for match in _WORD.finditer(text):
    words.append(match.group())
    gaps.append(text[end : match.start()])
    end = match.end()
  return words, [*gaps, text[end:]]


def join(words: Sequence[str], gaps: Sequence[str]) -> str:
  """The text of which `split` makes these words and gaps."""
  pairs = zip(gaps, words, strict=False)
  return "".join(part for pair in pairs for part in pair) + gaps[-1]


def cased_like(word: str, candidate: str) -> str:
  """The candidate with capitals as the word has them."""
  if len(word) > 1 and word.isupper():
    return candidate.upper()
  if word[:1].isupper():
    return candidate[:1].upper() + candidate[1:]
  return candidate


def budget(words: int, share: float) -> int:
  """How many words may change: the share of them, but one at least."""
  return max(1, int(share * words + 1e-9))


def check_share(share: float) -> None:
  """A share of words.

  Raises:
    ValueError: it is none.
  """
  if not 0 < share <= 1:
    raise ValueError(f"a share of words is in (0, 1], not {share}")


def replacement(candidates: Candidates, share: float) -> Transform:
  """Some words of each text, at random, become random candidates.

  Args:
    candidates: what may stand for a word.
    share: of the words that changes at most, see `budget`.

  Raises:
    ValueError: the share is not in (0, 1].
  """
  check_share(share)

  def one(text: str, rng: np.random.Generator) -> str:
    words, gaps = split(text)
    left = budget(len(words), share)
    for place in rng.permutation(len(words)).tolist():
      if not left:
        break
      if choices := candidates(words[place]):
        words[place] = choices[int(rng.integers(len(choices)))]
        left -= 1
    return join(words, gaps)

  return lambda texts, rng: [one(text, rng) for text in texts]


def augmented(
  texts: Sequence[str],
  transform: Transform,
  share: float,
  rng: np.random.Generator,
) -> list[str]:
  """The texts, a share of them transformed.

  Args:
    texts: N of them.
    transform: what happens to those that are drawn.
    share: of the texts, each drawn by itself with this probability.
    rng: source of the draws.
  """
  drawn = np.flatnonzero(rng.random(len(texts)) < share).tolist()
  result = list(texts)
  changed = transform([result[i] for i in drawn], rng)
  for i, text in zip(drawn, changed, strict=True):
    result[i] = text
  return result
