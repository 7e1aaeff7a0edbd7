"""An ALBERT as released is fine-tuned, asked, exported, converted and pre-trained."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from family_golden import family_file
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.conversion.convert import convert
from bert_tf.finetuning.program import run_finetuning
from bert_tf.inference.load_model import load_model
from bert_tf.pretraining.run import run_pretraining
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.released.find_model import find_model
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import (
    ConversionSettings,
    ExportSettings,
    PretrainingDataSettings,
    PretrainingSettings,
)
from bert_tf.text.sentencepiece_tokenization import SentencePieceTokenizer

pytestmark = pytest.mark.filterwarnings("ignore:BertConfig does not use these keys")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A folder with the names of a release; the golden model stands for its weights."""
    folder = tmp_path_factory.mktemp("models") / "albert_base_v2"
    folder.mkdir()
    golden = family_file("albert/albert_config.json").parent
    for name in ("albert_config.json", *(p.name for p in golden.glob("model.ckpt-best.*"))):
        shutil.copy(golden / name, folder / name)
    shutil.copy(golden / "spm.model", folder / "30k-clean.model")
    return str(folder)


@pytest.fixture(scope="module")
def files(released):
    found = find_model(released)
    return {
        "bert_config_file": found.bert_config_file,
        "vocab_file": found.vocab_file,
        "init_checkpoint": found.init_checkpoint,
    }


def test_its_files_are_found_and_its_case_is_told_by_its_name(released):
    found = find_model(released)
    assert Path(found.bert_config_file).name == "albert_config.json"
    assert Path(found.vocab_file).name == "30k-clean.model"
    assert found.init_checkpoint.endswith("model.ckpt-best")
    assert found.do_lower_case


def test_presets_and_masked_texts(released):
    encoder = bert_tf.AlbertEncoder.from_preset(released)
    preprocessor = bert_tf.TextPreprocessor.from_preset(released, sequence_length=16)
    features = preprocessor(["The Cat sat."])
    tokenizer = bert_tf.FullTokenizer.from_preset(released)
    assert isinstance(tokenizer, SentencePieceTokenizer)
    expected = tokenizer("The Cat sat.", max_length=16, padding="max_length")
    for name, row in expected.items():
        np.testing.assert_array_equal(features[name][0], row)
    again = bert_tf.TextPreprocessor.from_config(preprocessor.get_config())
    np.testing.assert_array_equal(again(["The Cat sat."])["input_ids"], features["input_ids"])
    assert encoder(features)["sequence_output"].shape == (1, 16, 40)
    (candidates,) = bert_tf.Predictor(released).fill_mask(["The [MASK] sat."])
    assert len(candidates) == 1


def test_it_is_fine_tuned_asked_and_exported(files, reviews, tmp_path):
    options = (f"data_dir={reviews}",)
    settings = small_finetuning(files, "glue:sst-2", tmp_path / "out", options, do_predict=True)
    results = run_finetuning(settings)
    assert results
    out = tmp_path / "out"
    assert (out / "spiece.model").read_bytes() == Path(files["vocab_file"]).read_bytes()
    assert json.loads((out / "bert_config.json").read_text())["model_type"] == "albert"
    loaded = load_model(str(out))
    assert isinstance(loaded.tokenizer, SentencePieceTokenizer)

    export = ExportSettings(model=str(out), export_dir=str(tmp_path / "export"), warmup=False)
    export_saved_model(export)
    texts = ["A very good film, in 2,019.", "the plot was dull", ""]
    served, python = (bert_tf.Predictor(path) for path in (str(tmp_path / "export"), str(out)))
    for one, other in zip(served.predict(texts), python.predict(texts), strict=True):
        assert one["label"] == other["label"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def test_conversion_keeps_weights_slots_and_pieces(files, released, tmp_path):
    folder = tmp_path / "albert_base_v2"
    folder.mkdir()
    trained = family_file("albert/after_lamb.ckpt")
    for path in trained.parent.glob("after_lamb.ckpt.*"):
        shutil.copy(path, folder / path.name)
    for name in ("albert_config.json", "30k-clean.model"):
        shutil.copy(Path(released, name), folder / name)
    convert(ConversionSettings(source=str(folder), to="google", output_dir=str(tmp_path / "new")))
    before = tf.train.load_checkpoint(str(trained))
    after = tf.train.load_checkpoint(str(tmp_path / "new" / "bert_model.ckpt"))
    shapes = before.get_variable_to_shape_map()
    assert shapes == after.get_variable_to_shape_map()
    assert any(name.endswith("/adam_v") for name in shapes)
    for name in shapes:
        np.testing.assert_array_equal(before.get_tensor(name), after.get_tensor(name))
    assert (tmp_path / "new" / "spiece.model").exists()
    assert find_model(str(tmp_path / "new")).do_lower_case


def test_pre_training_resumes_exactly(files, tmp_path):
    text = family_file("albert/pretraining_data/text_b.txt")
    data = PretrainingDataSettings(
        input_file=(str(text),),
        vocab_file=files["vocab_file"],
        output_dir=str(tmp_path / "records"),
        max_seq_length=32,
        max_predictions_per_seq=5,
        ngram=3,
        sentence_order=True,
    )
    (records,) = create_pretraining_data(data).paths
    config = json.loads(Path(files["bert_config_file"]).read_text())
    config |= {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
    config_file = tmp_path / "albert_config.json"
    config_file.write_text(json.dumps(config))

    def settings(folder, num_steps):
        return PretrainingSettings(
            input_file=(records,),
            bert_config_file=str(config_file),
            init_checkpoint=files["init_checkpoint"],
            output_dir=str(tmp_path / folder),
            objective="masked_lm+sentence_order",
            optimizer="albert_lamb",
            gradient_norm="rows",
            max_seq_length=32,
            max_predictions_per_seq=5,
            train_batch_size=4,
            num_train_steps=num_steps,
            num_warmup_steps=1,
            learning_rate=0.01,
            learning_rate_schedule="continuous",
            save_checkpoints_steps=3,
            do_train=True,
            do_eval=True,
            max_eval_steps=2,
            allow_changed_settings=True,
        )

    whole = run_pretraining(settings("whole", 6))
    assert 0 <= whole["sentence_order_accuracy"] <= 1
    shutil.copytree(tmp_path / "whole", tmp_path / "resumed")
    for path in (tmp_path / "resumed").glob("model.ckpt-6.*"):
        path.unlink()
    run_pretraining(settings("resumed", 6))
    one, other = (
        tf.train.load_checkpoint(str(tmp_path / name / "model.ckpt-6"))
        for name in ("whole", "resumed")
    )
    for name in one.get_variable_to_shape_map():
        np.testing.assert_array_equal(one.get_tensor(name), other.get_tensor(name), err_msg=name)
    assert (tmp_path / "whole" / "spiece.model").exists()
    assert dataclasses.asdict(load_model(str(tmp_path / "whole")).config)["embedding_size"] == 16
