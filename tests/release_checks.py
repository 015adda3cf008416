"""What tests of releases have in common."""

import json
import shutil

import pytest

from adv_rec.release import make, verify

QUICK = make.Options(attacks=100, progress=False)


def not_released(config, place, says, options=QUICK):
  """It is refused in one line before anything is spent.

  Args:
    config: of the release.
    place: folder for the release and its workdir.
    says: what the error matches.
    options: of the release.
  """
  out, workdir = place / "out", place / "work"
  with pytest.raises((ValueError, OSError), match=says) as caught:
    make.release(config, out, workdir, options)
  assert "\n" not in str(caught.value)
  assert not out.exists() and not (workdir / "privacy").exists()


def not_verified(release, place, change, says):
  """A copy of which the card was changed, and the hashes mended.

  Args:
    release: folder of a good one.
    place: folder for the copy.
    change: function of the card.
    says: what the error matches.
  """
  folder = place / "changed"
  shutil.copytree(release, folder)
  card = json.loads((folder / "card.json").read_text())
  change(card)
  (folder / "card.json").write_text(json.dumps(card))
  manifest = json.loads((folder / verify.NAME).read_text())
  manifest["files"] = verify.files(folder)
  (folder / verify.NAME).write_text(json.dumps(manifest))
  with pytest.raises(ValueError, match=says):
    verify.verify(folder)
