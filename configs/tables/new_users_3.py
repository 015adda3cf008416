"""The Complete Journey: households of whom three purchases are known.

  python scripts/reproduce.py --table=new_users_3

A fifth of the households are new: their first purchases are known, and what
they buy later is to be predicted by what all others bought. Half an hour on 2
CPU cores.
"""


def get_table(
  known: int = 3,
  word: str = "three purchases",
  ridge: str = "l2=100.0",
  generator: str = "",
  note: str = "",
):
  """Of new users with so many purchases; the other tables are this one too.

  Args:
    known: purchases of a new user.
    word: the same, to be read.
    ridge: options of Ridge SVD.
    generator: options of all generators.
    note: what else the protocol says.
  """
  data = f"dataset=completejourney,data.protocol=new_users,data.known={known}"

  def run(method, config, options="", seeds=1):
    return {
      "method": method,
      "config": f"configs/{config}.py",
      "options": ",".join(filter(None, [data, options])),
      "seeds": seeds,
    }

  def generated(method, *changed):
    given = ",".join(filter(None, [generator, *changed]))
    return run(method, "cold/user_generator", given, 5)

  segments = "recommend/segment_popularity"
  return {
    "title": f"New users, {word} known",
    "protocol": f"""A year of grocery transactions, first purchases. Ridge SVD
      and the generators, which add to a ridge SVD, were chosen on the
      validation households; the other methods run with the settings chosen
      for the first purchases of known households. The generators learn from
      histories of which a few items are shown. {note}""",
    "metrics": ["ndcg@10", "recall@10", "hr@10", "coverage@10"],
    "seeds": 5,
    "published": [],
    "paired": [
      ("Generator, FGM", "Generator"),
      ("Generator and critic", "Generator"),
    ],
    "runs": [
      run("Popularity", "recommend/popularity"),
      run("Popularity by income", segments, "segment=income"),
      run("Popularity by age", segments, "segment=age"),
      run("ItemKNN", "recommend/item_knn"),
      run("EASE", "recommend/ease"),
      run("iALS", "recommend/ials"),
      run(
        "Ridge SVD",
        "recommend/ridge_svd",
        f"model.dim=64,item_exponent=0.25,{ridge}",
      ),
      generated("Generator"),
      generated("Generator, FGM", "attack.epsilon=0.02"),
      generated("Generator and critic", "critic.weight=3.0"),
    ],
  }
