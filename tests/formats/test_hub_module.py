"""TF-Hub modules of both kinds are read without a configuration, and compute the same."""

import shutil

import numpy as np
import pytest
from read_models import all_outputs

import bert_tf
from bert_tf.formats.hub_module import read_case
from bert_tf.formats.source import detect_format, read_pretrained
from bert_tf.released.find_model import find_model


@pytest.fixture
def unpack(golden_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))

    def make(name):
        archive = golden_dir / "tf_hub" / f"{name}.tar.gz"
        shutil.unpack_archive(archive, tmp_path / name, filter="data")
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("name", "format", "masked_lm", "lower"),
    [
        ("tf1_encoder", "google", "mlm_log_probs", True),
        ("tf2_encoder", "tensorflow_models", "mlm_logits", False),
    ],
)
def test_a_module_computes_what_it_computed(unpack, golden_dir, name, format, masked_lm, lower):
    module = str(unpack(name))
    assert detect_format(module) == format
    read = read_pretrained(module)
    assert (read.head.kind, read.tokenizer.do_lower_case) == ("masked_lm", lower)
    assert len(read.tokenizer.vocab) == read.config.vocab_size == 12
    assert not read.dropped

    expected = np.load(golden_dir / "tf_hub" / f"{name}.npz")
    names = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
    batch = {key: expected[key] for key in names}
    outputs = all_outputs(bert_tf.PretrainingModel.from_preset(module), batch)
    for output in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[output], expected[output], atol=1e-5, err_msg=output)
    logits = np.asarray(outputs["masked_lm_logits"]).reshape(3, 2, -1)
    if masked_lm == "mlm_log_probs":
        logits = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    theirs = expected[masked_lm].reshape(logits.shape)
    np.testing.assert_allclose(logits, theirs, atol=1e-5)


def test_the_graph_of_a_first_module_tells_what_its_weights_do_not(unpack):
    read = read_pretrained(str(unpack("tf1_encoder")))
    assert read.config.num_attention_heads == 4
    assert read.config.hidden_act == "gelu"
    assert any("dropout of 0.1" in note for note in read.notes)


def test_a_bert_config_beside_a_module_comes_first(unpack):
    module = unpack("tf1_encoder")
    config = read_pretrained(str(module)).config
    text = config.to_json_string().replace('"num_attention_heads": 4', '"num_attention_heads": 2')
    (module / "bert_config.json").write_text(text)
    assert read_pretrained(str(module)).config.num_attention_heads == 2


def test_programs_take_a_module_by_its_path(unpack):
    found = find_model(str(unpack("tf2_encoder")))
    assert found.do_lower_case is False
    assert found.vocab_file is not None
    tokenizer = bert_tf.FullTokenizer.from_preset(str(unpack("tf1_encoder")))
    assert tokenizer.tokenize("The CATs sat.") == ["the", "cat", "##s", "sat", "."]


def test_of_a_preprocessing_module_the_case_is_known_and_the_encoder_asked_for(unpack):
    module = unpack("tf2_preprocess")
    assert read_case(str(module / "saved_model.pb")) is False
    with pytest.raises(ValueError, match=r"only splits text. Give the encoder's"):
        read_pretrained(str(module))


def test_a_graph_that_is_damaged_or_of_other_code_is_refused(unpack, golden_dir):
    module = unpack("tf1_encoder")
    graph = module / "saved_model.pb"
    content = graph.read_bytes()
    graph.write_bytes(content.replace(b"attention/self/Mul/y", b"attention/self/Mul/z"))
    with pytest.raises(ValueError, match=r"not a graph of google-research's code.*bert_config"):
        read_pretrained(str(module))
    graph.write_bytes(content[:-20])
    with pytest.raises(ValueError, match=r"saved_model.pb: no SavedModel, or it is damaged"):
        read_pretrained(str(module))
