"""Fine-tunes on SQuAD 1.1 by run_scripts/finetune.py, and scores the answers."""

import bert_tf_training
import finetuning
from reporting import read_settings, report

SETTINGS = read_settings()


def main() -> None:
    examples = finetuning.examples_folder(SETTINGS)
    options = {
        "train_file": examples / "train.json",
        "predict_file": examples / "dev.json",
        "mask_padding": True,
    }
    with bert_tf_training.trained(SETTINGS, "squad", options) as output:
        if SETTINGS.metrics:
            lines = finetuning.read_lines(output / "eval_predictions.jsonl")
            answers = {line["id"]: line["answer"] for line in lines}
            report(**finetuning.squad_scores(examples / "dev.json", answers))


if __name__ == "__main__":
    main()
