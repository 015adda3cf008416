"""Options of a config: typed by what they replace, refused with a hint."""

import ml_collections
import pytest

from adv_rec.experiments import options


def config():
  return ml_collections.ConfigDict(
    {
      "name": "x",
      "seed": 0,
      "rate": 0.1,
      "sparse": False,
      "unset": None,
      "model": {"dim": 64, "ks": (5, 10)},
    }
  )


def changed(arg):
  return options.override(config(), options.parse(arg)).to_dict()


@pytest.mark.parametrize(
  "arg, expected",
  [
    ("", {}),
    ("a=1", {"a": "1"}),
    ("a=1,b.c=x", {"a": "1", "b.c": "x"}),
    ("a=(1,2),b=3", {"a": "(1,2)", "b": "3"}),
    ("a=(),b=(0.1,),c=", {"a": "()", "b": "(0.1,)", "c": ""}),
    (" a = 1 , b = 2 ,", {"a": "1", "b": "2"}),
    ("a=x=y", {"a": "x=y"}),
  ],
)
def test_parse(arg, expected):
  assert options.parse(arg) == expected


def test_parse_names_the_part_without_value():
  with pytest.raises(ValueError, match="'epochs' has no value"):
    options.parse("seed=1,epochs")


@pytest.mark.parametrize(
  "arg, path, value",
  [
    ("seed=3", "seed", 3),
    ("rate=2", "rate", 2.0),
    ("rate=1e-3", "rate", 1e-3),
    ("sparse=true", "sparse", True),
    ("sparse=False", "sparse", False),
    ("name=17", "name", "17"),
    ("name=", "name", ""),
    ("unset=5", "unset", 5),
    ("unset=temporal", "unset", "temporal"),
    ("model.dim=8", "model.dim", 8),
    ("model.ks=(1,2,3)", "model.ks", (1, 2, 3)),
    ("model.ks=20", "model.ks", (20,)),
    ("model.ks=()", "model.ks", ()),
  ],
)
def test_override_keeps_the_type(arg, path, value):
  found = changed(arg)
  for name in path.split("."):
    found = found[name]
  assert found == value and type(found) is type(value)


def test_override_changes_nothing_else():
  found = changed("model.dim=8,seed=1")
  expected = config().to_dict() | {"seed": 1}
  expected["model"] = {"dim": 8, "ks": (5, 10)}
  assert found == expected


@pytest.mark.parametrize(
  "arg, type_name",
  [
    ("seed=1.5", "int"),
    ("seed=one", "int"),
    ("seed=", "int"),
    ("seed=true", "int"),
    ("rate=fast", "float"),
    ("rate=(1,2)", "float"),
    ("sparse=1", "bool"),
    ("sparse=yes", "bool"),
    ("model.ks=five", "tuple"),
  ],
)
def test_a_value_of_another_type_is_refused(arg, type_name):
  with pytest.raises(ValueError) as error:
    changed(arg)
  message = str(error.value)
  assert arg in message and f"expected a {type_name}" in message
  assert "\n" not in message


@pytest.mark.parametrize(
  "arg, hint",
  [
    ("sed=1", "did you mean seed?"),
    ("dim=1", "did you mean model.dim?"),
    ("model.dims=1", "did you mean model.dim?"),
    ("model=1", "did you mean model."),  # a group is no option
    ("seed.x=1", "did you mean seed?"),
    ("zzz=1", "it has ['model.dim', 'model.ks', 'name'"),
  ],
)
def test_an_unknown_option_is_refused_with_a_hint(arg, hint):
  with pytest.raises(ValueError, match="the config has no option") as error:
    changed(arg)
  assert hint in str(error.value)


def test_load_runs_a_file(tmp_path):
  file = tmp_path / "my_config.py"
  file.write_text("def get_config(arg=''):\n  return {'arg': arg}\n")
  assert options.load(file, "a=1") == {"arg": "a=1"}
  with pytest.raises(FileNotFoundError):
    options.load(tmp_path / "none.py")


def test_limits_are_checked_by_dotted_name():
  made = config()
  options.check_finite(made)
  options.at_least(64, made, "model.dim")
  options.above_zero(made, "rate", "model.dim")
  options.one_of(("x", "y"), made, "name")
  with pytest.raises(ValueError, match=r"model\.dim=64: must be at least 65"):
    options.at_least(65, made, "model.dim")
  with pytest.raises(ValueError, match="seed=0: must be above 0"):
    options.above_zero(config(), "rate", "seed")
  with pytest.raises(ValueError, match="name='x': choose a, b or c"):
    options.one_of(("a", "b", "c"), made, "name")
  for rate in (float("nan"), float("inf")):
    made.rate = rate
    with pytest.raises(ValueError, match=r"rate=.*: must be finite"):
      options.check_finite(made)
