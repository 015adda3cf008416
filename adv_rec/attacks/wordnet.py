"""Synonyms from WordNet's database files (wndb(5WN), morphy(7WN)).

Princeton WordNet (Fellbaum 1998) as Debian's package `wordnet` installs it, or
any folder of these files that $WNSEARCHDIR names. There is no tagger: a word
counts as the part of speech that it mostly is in the texts that WordNet's
authors tagged, and only words that mostly are of the same part stand for it.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from adv_rec.attacks.words import Candidates, cased_like

_DEBIAN = "/usr/share/wordnet"
_PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_NUMBERS = dict(enumerate("nvara", 1))  # of sense keys; 5: satellites of 3
_SHORTEST = 3  # letters; what is shorter is an initial or a unit
# Endings of inflected words and of their bases (morphy).
_ENDINGS = {
  "n": "ies:y ches:ch shes:sh xes:x zes:z ses:s men:man s:",
  "v": "ies:y es:e es: s: ied:y ed:e ed: ing:e ing:",
  "a": "iest:y est: est:e ier:y er: er:e",
  "r": "",
}


class WordNet(NamedTuple):
  """The database in memory.

  Attributes:
    senses: part of speech ("n", "v", "a", "r") -> lemma -> places of its
      synsets in the data, the most frequent first.
    bases: part -> irregular form -> lemmas.
    forms: part -> lemma -> irregular forms.
    data: part -> the synsets.
    counts: (part, lemma) -> occurrences in the tagged texts.
  """

  senses: Mapping[str, Mapping[str, Sequence[int]]]
  bases: Mapping[str, Mapping[str, Sequence[str]]]
  forms: Mapping[str, Mapping[str, Sequence[str]]]
  data: Mapping[str, bytes]
  counts: Counter[tuple[str, str]]


@functools.cache
def read(folder: str | os.PathLike[str] | None = None) -> WordNet:
  """Reads the database.

  Args:
    folder: of its files; $WNSEARCHDIR or Debian's place by default.

  Raises:
    FileNotFoundError: they are not there.
  """
  place = pathlib.Path(folder or os.environ.get("WNSEARCHDIR") or _DEBIAN)
  if not (place / "index.noun").is_file():
    raise FileNotFoundError(
      f"no WordNet in {place}: run `apt-get install wordnet`, or let"
      " $WNSEARCHDIR name the folder that has index.noun"
    )
  bases = {part: _exceptions(place, name) for part, name in _PARTS.items()}
  forms: dict[str, dict[str, list[str]]] = {}
  for part, known in bases.items():
    forms[part] = defaultdict(list)
    for form, lemmas in known.items():
      for lemma in lemmas:
        forms[part][lemma].append(form)
  return WordNet(
    {part: _index(place, name) for part, name in _PARTS.items()},
    bases,
    forms,
    {p: (place / f"data.{name}").read_bytes() for p, name in _PARTS.items()},
    _counts(place),
  )


def synonyms(net: WordNet, senses: int = 2) -> Candidates:
  """Word -> single words of the same part of speech and inflection.

  Function words, words that are not in WordNet and those with an irregular
  inflection have none.

  Args:
    net: from `read`.
    senses: how many senses of a word count, the most frequent ones.
  """

  @functools.lru_cache(1 << 16)
  def candidates(word: str) -> Sequence[str]:
    lower = word.lower()
    passed = lower in ENGLISH_STOP_WORDS or len(lower) < _SHORTEST
    found = None if passed else reading(net, lower)
    if found is None:
      return ()
    part, lemma = found
    others = (
      other
      for place in net.senses[part][lemma][:senses]
      for other in _words(net.data[part], place)
    )
    forms = dict.fromkeys(
      _inflected(net, o, part, lower, lemma) for o in others
    )
    return [
      cased_like(word, form)
      for form in forms
      if form and form != lower and same_part(net)(form, lower)
    ]

  return candidates


def same_part(net: WordNet) -> Callable[[str, str], bool]:
  """Two words -> whether both are in WordNet, as one part of speech."""

  def same(one: str, other: str) -> bool:
    first, second = (reading(net, word.lower()) for word in (one, other))
    return first is not None and second is not None and first[0] == second[0]

  return same


def reading(net: WordNet, word: str) -> tuple[str, str] | None:
  """What a word in lower case mostly is, (part, lemma); None if unknown."""
  found = [(p, lemma) for p in _PARTS for lemma in _lemmas(net, word, p)]
  if not found:
    return None

  def likely(one: tuple[str, str]):
    part, lemma = one
    return net.counts[one], lemma == word, len(net.senses[part][lemma])

  return max(found, key=likely)


def _lemmas(net: WordNet, word: str, part: str) -> Iterator[str]:
  known = net.senses[part]
  if word in known:
    yield word
  if word in net.bases[part]:
    yield from (w for w in net.bases[part][word] if w in known and w != word)
    return
  for rule in _ENDINGS[part].split():
    ending, _, base = rule.partition(":")
    lemma = word.removesuffix(ending) + base
    if word.endswith(ending) and lemma in known:
      yield lemma


def _inflected(
  net: WordNet, lemma: str, part: str, word: str, base: str
) -> str | None:
  """The lemma inflected as the word is inflected of its base; None: unknown."""
  if word == base:
    return lemma
  endings = {"n": ("s",), "v": ("ing", "ed", "s")}.get(part, ())
  ending = next((end for end in endings if word.endswith(end)), None)
  if ending is None:
    return None
  irregular = net.forms[part].get(lemma, [])
  if part == "v":  # those of the same tense
    tense = {"ing": ("ing",), "s": ("s",)}.get(ending)
    irregular = [
      form
      for form in irregular
      if (form.endswith(tense) if tense else not form.endswith(("ing", "s")))
    ]
  if irregular:  # stopped, but not went
    return next((form for form in irregular if form.endswith(ending)), None)
  after_consonant = lemma[-2:-1] not in "aeiou"
  if ending == "ing":
    silent = lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye"))
    return (lemma[:-1] if silent else lemma) + ending
  if lemma.endswith("y") and after_consonant:
    return lemma[:-1] + ("ies" if ending == "s" else "ied")
  if ending == "ed":
    return lemma.removesuffix("e") + ending
  hissing = lemma.endswith(("s", "x", "z", "ch", "sh") + ("o",) * (part == "v"))
  return lemma + ("es" if hissing else "s")


def _words(data: bytes, place: int) -> list[str]:
  """Single words of a synset, in lower case: no names, no phrases."""
  fields = data[place : data.index(b"\n", place)].decode().split(" ")
  words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
  plain = [word.partition("(")[0] for word in words]  # galore(ip)
  return [word for word in plain if word.isalpha() and word.islower()]


def _index(folder: pathlib.Path, name: str) -> dict[str, list[int]]:
  senses = {}
  with (folder / f"index.{name}").open(encoding="utf-8") as file:
    for line in file:
      if not line.startswith("  "):  # the licence
        fields = line.split()
        senses[fields[0]] = list(map(int, fields[-int(fields[2]) :]))
  return senses


def _exceptions(folder: pathlib.Path, name: str) -> dict[str, list[str]]:
  file = folder / f"{name}.exc"
  lines = file.read_text("utf-8").splitlines() if file.is_file() else []
  return {form: lemmas for form, *lemmas in map(str.split, lines)}


def _counts(folder: pathlib.Path) -> Counter[tuple[str, str]]:
  counts: Counter[tuple[str, str]] = Counter()
  with (folder / "cntlist.rev").open(encoding="utf-8") as file:
    for line in file:
      key, _, count = line.split()
      lemma, _, rest = key.partition("%")
      counts[_NUMBERS[int(rest[0])], lemma] += int(count)
  return counts
