"""Runs as files, and readers of SVG and HTML, for the tests of the report."""

import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

SVG = "{http://www.w3.org/2000/svg}"
DATASET = {
  "name": "groceries",
  "counts": {"users": 2389, "items": 17141, "test": 147116},
  "protocol": {
    "data": {
      "feedback": "first",
      "k_core": 10,
      "split": "temporal",
      "test_fraction": 0.2,
      "validation_fraction": 0.1,
      "min_value": None,
    },
    "fit": "train",
    "evaluation": {"ties": "count against", "mask": "bought before"},
  },
}


def make_run(directory, title, ndcg, curve=(), **more):
  directory.mkdir(parents=True)
  result = {
    "name": directory.name,
    "title": title,
    "config": {"model": {"dim": 64}},
    "dataset": DATASET,
    "seed": 3,
    "metrics": {"test/ndcg@10": ndcg, "test/gini@10": 0.9},
    "wall_seconds": 12.34,
    "device": {"platform": "cpu", "count": 2},
    "commit": "abc1234",
    "versions": {"jax": "0.10.2"},
    **more,
  }
  (directory / "result.json").write_text(json.dumps(result))
  if curve:
    lines = "".join(json.dumps(row) + "\n" for row in curve)
    (directory / "metrics.jsonl").write_text(lines)
  return directory


def attacked(scale):
  return [
    {
      "attack": attack,
      "epsilon": {"item": 4 * relative},
      "relative_epsilon": relative,
      "ndcg@10": scale * (1 - relative * slope),
    }
    for attack, slope in (("fgm", 0.5), ("random", 0.125))
    for relative in (0.25, 0.5, 1.0)
  ]


def log(step, seconds, **values):
  names = {"loss": "train/model/loss", "ndcg": "validation/ndcg@10"}
  values = {names[name]: value for name, value in values.items()}
  return {"step": step, "wall_seconds": seconds, "values": values}


class Reader(HTMLParser):
  """Collects the text of every element, and all attributes."""

  def __init__(self, text):
    super().__init__()
    self.stack, self.texts, self.attributes = [], [], []
    self.rows, self.open = [], []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    self.attributes += [(tag, name, value) for name, value in attrs]
    if tag not in ("meta", "circle", "path", "line", "polyline", "polygon"):
      self.stack.append(tag)
    if tag == "tr":
      self.rows.append([])
    if tag in ("td", "th"):
      self.rows[-1].append("")

  def handle_endtag(self, tag):
    if self.stack and tag == self.stack[-1]:
      self.stack.pop()
    elif tag not in ("circle", "path", "line", "polyline", "polygon"):
      raise AssertionError(f"{tag} closes {self.stack[-3:]}")

  def handle_data(self, data):
    tag = self.stack[-1] if self.stack else ""
    self.texts.append((tag, data))
    if self.rows and ("td" in self.stack or "th" in self.stack):
      self.rows[-1][-1] += data

  def all(self, *tags):
    return [text for tag, text in self.texts if tag in tags]


def markers(svg):
  """Pixels of the markers of each line, by its title: "name: y at x"."""
  found = {}
  for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
    title = group.find(f"{SVG}title")
    if title is not None:
      found[title.text] = _translation(group)
  return found


def texts(svg):
  """Text, x, y of every text, the translations of its groups included."""

  def walk(element, x, y):
    dx, dy = _translation(element)
    x, y = x + dx, y + dy
    if element.tag == f"{SVG}text":
      place = [float(element.attrib[name]) for name in ("x", "y")]
      yield element.text or "", x + place[0], y + place[1]
    for child in element:
      yield from walk(child, x, y)

  return list(walk(ElementTree.fromstring(svg), 0.0, 0.0))


def _translation(element):
  place = re.fullmatch(
    r"translate\((.*),(.*)\)", element.get("transform", "translate(0,0)")
  )
  assert place, element.attrib
  return float(place[1]), float(place[2])
