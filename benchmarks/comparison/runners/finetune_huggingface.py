"""Fine-tunes a classifier by Hugging Face's Trainer, with BERT's optimizer, evaluates and scores.

The variant `by_length` groups examples of similar length into batches. Everything else is as in
`finetune_bert_tf.py`: rate and schedule, decay, dropout, clipping, Adam without bias correction.
"""

import finetuning
import huggingface_training
import torch
from reporting import read_settings, report, report_versions
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    set_seed,
)

SETTINGS = read_settings()


def main() -> None:
    set_seed(finetuning.seed(SETTINGS))
    folder = finetuning.model_folder(SETTINGS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = SETTINGS.max_seq_length
    examples = finetuning.examples_folder(SETTINGS)
    train, dev = (finetuning.read_lines(examples / f"{s}.jsonl") for s in ("train", "dev"))
    is_regression = isinstance(train[0]["label"], float)
    num_labels = 1 if is_regression else len({row["label"] for row in train})
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=num_labels, dtype=torch.float32
    )
    trainer, clock = huggingface_training.make_trainer(
        SETTINGS, model, tokenizer, features(train, tokenizer), DataCollatorWithPadding(tokenizer)
    )
    trainer.train()
    report_versions("torch", "transformers")
    report(**finetuning.speed(clock.seconds, SETTINGS.batch_size))
    if SETTINGS.metrics:
        found = trainer.predict(features(dev, tokenizer))  # In an order of its own.
        logits = found.predictions
        predicted = logits[:, 0] if is_regression else logits.argmax(-1)
        scores = finetuning.scores(SETTINGS.metrics, found.label_ids.tolist(), predicted.tolist())
        report(**scores)


def features(rows: list[dict], tokenizer) -> list[dict]:
    """Returns what the model is fed, not padded."""
    texts = [[row["text_a"] for row in rows]]
    if "text_b" in rows[0]:
        texts.append([row["text_b"] for row in rows])
    encoded = tokenizer(*texts, truncation=True, max_length=SETTINGS.max_seq_length)
    number = float if isinstance(rows[0]["label"], float) else int
    return [
        {**{name: column[i] for name, column in encoded.items()}, "labels": number(row["label"])}
        for i, row in enumerate(rows)
    ]


if __name__ == "__main__":
    main()
