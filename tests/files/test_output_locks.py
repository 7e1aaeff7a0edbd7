"""Every program that writes locks its output: of two at a time, the second is refused at once."""

import json
import os
from pathlib import Path

import pytest
from random_models import VOCAB

from bert_tf import files
from bert_tf.conversion.convert import convert
from bert_tf.corpus.documentation import write_corpus
from bert_tf.features.extraction import extract_features
from bert_tf.finetuning.program import run_finetuning
from bert_tf.pretraining.run import run_pretraining
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import (
    ConversionSettings,
    ExportSettings,
    FeatureExtractionSettings,
    FinetuningSettings,
    PretrainingDataSettings,
    PretrainingSettings,
)
from bert_tf.text.wordpiece import learn_vocab

MODEL = {"bert_config_file": "bert_config.json", "vocab_file": "vocab.txt"}
# Program -> what it does with an output folder or file named "out"; none of the inputs is a model.
TO_FOLDERS = {
    "pretraining": lambda: run_pretraining(
        PretrainingSettings(
            input_file="*", bert_config_file="bert_config.json", output_dir="out", do_eval=True
        )
    ),
    "finetuning": lambda: run_finetuning(
        FinetuningSettings(task="squad", output_dir="out", do_train=True, num_restarts=2, **MODEL)
    ),
    "conversion": lambda: convert(
        ConversionSettings(source="model", to="google", output_dir="out", overwrite=True)
    ),
    "export": lambda: export_saved_model(ExportSettings(model="model", export_dir="out")),
    "documentation": lambda: write_corpus("out", ["python"]),
    "shards": lambda: create_pretraining_data(
        PretrainingDataSettings(input_file="a.txt", vocab_file="vocab.txt", output_dir="out")
    ),
}
TO_FILES = {
    "records": lambda: create_pretraining_data(
        PretrainingDataSettings(input_file="a.txt", vocab_file="vocab.txt", output_file="b,out")
    ),
    "vocabulary": lambda: learn_vocab("a.txt", "out", 8000, True),
    "features": lambda: extract_features(
        FeatureExtractionSettings(
            input_file="a.txt", output_file="out", init_checkpoint="model", **MODEL
        )
    ),
}


@pytest.fixture(autouse=True)
def inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("A text.\n")
    Path("vocab.txt").write_text("\n".join(VOCAB) + "\n")
    Path("bert_config.json").write_text(json.dumps({"vocab_size": len(VOCAB)}))


@pytest.mark.parametrize("program", [*TO_FOLDERS, *TO_FILES])
def test_a_program_is_refused_while_another_one_writes_there(program):
    hold = files.hold_folder if program in TO_FOLDERS else files.hold_file
    with hold("out"):
        before = sorted(os.listdir("."))
        with pytest.raises(ValueError, match=rf"out: process {os.getpid()} on .* is writing there"):
            ({**TO_FOLDERS, **TO_FILES})[program]()
    assert set(os.listdir(".")) <= {*before} | {"manifest.json"}
