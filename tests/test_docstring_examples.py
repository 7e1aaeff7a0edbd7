"""Every public class says what it is and has an example in its docstring, which runs."""

import dataclasses
import inspect
import re
import shutil
import textwrap

import pytest
from small_configs import SUCCESSORS, small_config

import bert_tf

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg", "un", "##aff", "##able", "text"]
CLASSES = sorted(name for name in bert_tf.__all__ if inspect.isclass(getattr(bert_tf, name)))
FUNCTIONS = ("presets", "create_optimizer", "load_dataset", "load_checkpoint", "save_checkpoint")


# Released models in examples -> the successors whose stand-ins they are.
RELEASED = {
    "albert_base_v2": "albert",
    "electra_small": "electra",
    "roberta_base": "roberta",
    "distilbert_base_uncased": "distilbert",
}


def example_of(docstring: str) -> str:
    """The indented lines after `Example:`."""
    match = re.search(r"^Example:\n\n((?:    .*\n|\n)+)", inspect.cleandoc(docstring) + "\n", re.M)
    assert match, "There is no example."
    return textwrap.dedent(match[1])


@pytest.fixture
def names(tmp_path, monkeypatch, golden_dir):
    """What examples use: the files of a small model, which stands in for a released one."""
    import keras
    import numpy as np

    from bert_tf.finetuning import dataset
    from bert_tf.inference import load_model
    from bert_tf.model.encoders import make_encoder
    from bert_tf.released import presets

    config = small_config(len(TOKENS), max_position_embeddings=128)
    (tmp_path / "source.txt").write_text("\n".join(TOKENS) + "\n")
    tokenizer = bert_tf.FullTokenizer(str(tmp_path / "source.txt"))
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    model.save_to_preset(str(tmp_path), tokenizer)
    (tmp_path / "glue" / "MRPC").mkdir(parents=True)
    rows = [
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        *["1\t1\t2\ta b\tc d", "0\t3\t4\ta\tb"] * 8,
    ]
    for split in ("train", "dev"):
        name = f"msr_paraphrase_{split}.txt"
        (tmp_path / "glue" / "MRPC" / name).write_text("\n".join(rows) + "\n")
        (tmp_path / "glue" / "MRPC" / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    family = golden_dir / "family"
    shutil.copy(family / "albert" / "spm.model", tmp_path / "30k-clean.model")
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(family / "roberta" / name, tmp_path / name)
    find_model = presets.find_model

    def find_stand_in(name):
        if name in RELEASED:
            encoder = make_encoder(dataclasses.replace(config, **SUCCESSORS[RELEASED[name]]))
            is_electra = name == "electra_small"
            model = bert_tf.DiscriminatorModel(encoder) if is_electra else encoder
            model.save_to_preset(str(tmp_path / name), tokenizer)
        return find_model("." if name == "bert_base_uncased" else name)

    for module in (presets, load_model, dataset):
        monkeypatch.setattr(module, "find_model", find_stand_in)
    monkeypatch.chdir(tmp_path)
    head = bert_tf.ClassificationModel(bert_tf.BertEncoder(config), num_labels=2)
    head.preset = find_model(str(tmp_path))
    head.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return {"bert_tf": bert_tf, "keras": keras, "np": np, "config": config, "model": head}


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_the_example_of_a_public_name_runs(name, names):
    exec(example_of(getattr(bert_tf, name).__doc__), names)


@pytest.mark.parametrize("method", ["from_preset", "save_to_preset"])
def test_the_example_of_a_method_runs(method, names):
    exec(example_of(getattr(bert_tf.ClassificationModel, method).__doc__), names)


@pytest.mark.parametrize("name", CLASSES)
def test_a_docstring_starts_with_what_the_class_is(name):
    first = inspect.getdoc(getattr(bert_tf, name)).splitlines()[0]
    assert first[0].isupper()
    assert len(first) > 20


def test_help_names_everything():
    for name in bert_tf.__all__:
        assert name in bert_tf.__doc__ or name == "__version__", name
        assert name in dir(bert_tf)
