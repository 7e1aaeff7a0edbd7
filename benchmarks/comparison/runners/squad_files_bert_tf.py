"""Makes what fine-tuning on SQuAD 1.1 starts from: MiniLM's weights, and some of the questions."""

import gzip
import json
import random
from pathlib import Path

from finetuning import examples_folder
from finetuning_files_bert_tf import make_model_once
from reporting import read_settings

SETTINGS = read_settings()


def main() -> None:
    make_model_once()
    folder = examples_folder(SETTINGS)
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"train": SETTINGS.max_train_examples, "dev": SETTINGS.max_dev_examples}
    for split, size in sizes.items():
        source = Path(SETTINGS.data_dir, "squad", f"{split}-v1.1.json.gz")
        with gzip.open(source, "rt", encoding="utf-8") as file:
            articles = json.load(file)["data"]
        data = {"version": "1.1", "data": some_questions(articles, size)}
        (folder / f"{split}.json").write_text(json.dumps(data), encoding="utf-8")


def some_questions(articles: list[dict], size: int) -> list[dict]:
    """Returns the articles with `size` random questions, in order; all of them if it is 0."""
    ids = [
        question["id"]
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    kept = set(random.Random(1).sample(ids, size or len(ids)))
    for article in articles:
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = [one for one in paragraph["qas"] if one["id"] in kept]
    return articles


if __name__ == "__main__":
    main()
