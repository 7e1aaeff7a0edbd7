"""Fine-tunes a classifier by run_scripts/finetune.py, evaluates it, and scores its answers."""

import bert_tf_training
import finetuning
from reporting import read_settings, report

SETTINGS = read_settings()


def main() -> None:
    examples = finetuning.examples_folder(SETTINGS)
    first = finetuning.read_lines(examples / "train.jsonl")[0]
    options = {"data_dir": examples, "text_a_column": "text_a", "label_column": "label"}
    if "text_b" in first:
        options["text_b_column"] = "text_b"
    if isinstance(first["label"], float):
        options["regression"] = True
    with bert_tf_training.trained(SETTINGS, "tsv", options) as output:
        if SETTINGS.metrics:
            answers = finetuning.read_lines(output / "eval_predictions.jsonl")
            gold, predicted = ([answer[key] for answer in answers] for key in ("gold", "label"))
            report(**finetuning.scores(SETTINGS.metrics, gold, predicted))


if __name__ == "__main__":
    main()
