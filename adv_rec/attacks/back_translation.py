"""Texts translated to another language and back: the same, said otherwise.

Sennrich, Haddow & Birch 2016 (arXiv:1511.06709) made training text by it. The
translator here is Apertium's rules for English and Spanish (Debian's package
`apertium-eng-spa`), which is quick and rough. A better one is any function of
texts, such as a Hugging Face pipeline:

  marian = transformers.pipeline("translation", "Helsinki-NLP/opus-mt-en-es")
  forth = lambda texts: [t["translation_text"] for t in marian(list(texts))]
  transform = back_translation(forth, back)
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Sequence

import numpy as np

from adv_rec.attacks.words import Transform

Translate = Callable[[Sequence[str]], list[str]]
_GAP = "\n\n"


def back_translation(forth: Translate, back: Translate) -> Transform:
  """There and back. Deterministic; texts without capitals stay so.

  Args:
    forth: texts -> as many in another language.
    back: the way home.
  """

  def transform(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    del rng
    returned = back(forth(texts))
    return [
      other.lower() if text == text.lower() else other
      for text, other in zip(texts, returned, strict=True)
    ]

  return transform


def apertium(pair: str) -> Translate:
  """Apertium's translator of a pair of languages, such as "eng-spa".

  One process for all texts, a paragraph each. Its tagger goes on from one to
  the next, so that here and there (of 50 in 600 sentences) the translation
  depends on what was before it.

  Raises:
    FileNotFoundError: the program or the pair is not here.
    OSError: when called, if it fails.
  """
  program = shutil.which("apertium")
  modes = _run([program, "-l"], "").split() if program else []
  if program is None or pair not in modes:
    raise FileNotFoundError(
      f"no Apertium for {pair} on this machine: run `apt-get install"
      " apertium-eng-spa`, or choose attacks without back_translation"
    )

  def translate(texts: Sequence[str]) -> list[str]:
    lines = [" ".join(text.split()) for text in texts]
    some = [line for line in lines if line]
    # -u: words that it does not know stay without a star before them.
    text = "".join(line + _GAP for line in some)
    found = _run([program, "-u", pair], text).split(_GAP)[:-1]
    if len(found) != len(some):
      raise OSError(f"apertium {pair}: {len(some)} texts in, {len(found)} out")
    out = iter(" ".join(line.split()) for line in found)
    return [next(out) if line else "" for line in lines]

  return translate


def cached(translate: Translate, folder: str | os.PathLike[str]) -> Translate:
  """Remembers translations, each in a line of a file in the folder.

  Args:
    translate: what is slow.
    folder: of this translator alone; made where it is missing.
  """
  file = pathlib.Path(folder) / "translations.jsonl"

  def remembered(texts: Sequence[str]) -> list[str]:
    known = _read(file)
    missing = list(dict.fromkeys(text for text in texts if text not in known))
    if missing:
      fresh = dict(zip(missing, translate(missing), strict=True))
      known.update(fresh)
      file.parent.mkdir(parents=True, exist_ok=True)
      lines = (json.dumps(pair, ensure_ascii=False) for pair in fresh.items())
      with file.open("a", encoding="utf-8") as out:
        out.write("".join(f"{line}\n" for line in lines))
    return [known[text] for text in texts]

  return remembered


def _read(file: pathlib.Path) -> dict[str, str]:
  known = {}
  lines = file.read_text("utf-8").splitlines() if file.is_file() else []
  for line in lines:
    try:
      text, translation = json.loads(line)
    except ValueError:
      continue  # of a process that was killed while it wrote
    known[text] = translation
  return known


def _run(command: Sequence[str], text: str) -> str:
  done = subprocess.run(
    command, input=text, capture_output=True, text=True, encoding="utf-8"
  )
  if done.returncode and text:
    raise OSError(f"{' '.join(command)}: {done.stderr.strip() or 'it failed'}")
  return done.stdout
