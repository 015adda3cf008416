"""The Complete Journey: what a household buys in the next weeks.

  python scripts/reproduce.py --table=retail_repeat

The easier everyday task beside configs/tables/retail.py: nothing is masked, so
that what is bought again counts. Minutes on 2 CPU cores.
"""

_DATA = "dataset=completejourney,data.protocol=repeat,fit=train+validation"


def get_table():
  return {
    "title": "Retail, the next weeks",
    "protocol": """A year of grocery transactions. All run with the settings
      chosen on the validation part of the first purchases: none was chosen for
      this task. SASRec is not tuned.""",
    "metrics": ["ndcg@10", "recall@10", "hr@10", "coverage@10", "aplt@10"],
    "seeds": 3,
    "published": [],
    "runs": [
      {
        "method": "Popularity",
        "config": "configs/recommend/popularity.py",
        "options": _DATA,
        "seeds": 1,
      },
      {
        "method": "Personal popularity",
        "config": "configs/recommend/personal_popularity.py",
        "options": _DATA,
        "seeds": 1,
      },
      {
        "method": "ItemKNN",
        "config": "configs/recommend/item_knn.py",
        "options": _DATA,
        "seeds": 1,
      },
      {
        "method": "PureSVD",
        "config": "configs/recommend/pure_svd.py",
        "options": _DATA,
        "seeds": 1,
      },
      {
        "method": "EASE",
        "config": "configs/recommend/ease.py",
        "options": _DATA,
        "seeds": 1,
      },
      {
        "method": "iALS",
        "config": "configs/recommend/ials.py",
        "options": _DATA,
      },
      {
        "method": "MF, full softmax",
        "config": "configs/recommend/softmax.py",
        "options": _DATA,
      },
      {
        "method": "BPR-MF",
        "config": "configs/recommend/bpr.py",
        "options": _DATA,
      },
      {
        "method": "APR",
        "config": "configs/recommend/apr.py",
        "options": _DATA,
      },
      {
        "method": "LightGCN",
        "config": "configs/recommend/lightgcn.py",
        "options": f"{_DATA},batch_size=65536,epochs=20",
      },
      {
        "method": "Mult-VAE",
        "config": "configs/recommend/mult_vae.py",
        "options": f"{_DATA},epochs=10",
      },
      {
        "method": "SASRec",
        "config": "configs/recommend/sasrec.py",
        "options": f"{_DATA},model.length=20,learning_rate=0.003,epochs=5",
      },
    ],
  }
