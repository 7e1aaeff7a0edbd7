"""ALBERT in Hugging Face's format: outputs of transformers, and the same tensors written again."""

import dataclasses
import json

import numpy as np
import pytest
from family_golden import family_file
from random_models import CONFIG, make_model

import bert_tf
from bert_tf.conversion.check import check_conversion
from bert_tf.formats import huggingface, huggingface_outputs
from bert_tf.formats.source import TokenizerFiles
from bert_tf.formats.tokenizer_files import read_tokenizer, read_vocabulary
from bert_tf.model.encoders import make_encoder
from bert_tf.training.checkpoint import named_variables

pytest.importorskip("safetensors", reason="needs: pip install safetensors")
pytest.importorskip(
    "bert_tf.formats.architectures", reason="Hugging Face's names are those of BERT only"
)


def test_outputs_agree_and_the_tensors_are_written_again(tmp_path):
    from safetensors.numpy import load_file

    folder = family_file("hf_albert/pretraining/config.json").parent
    read = huggingface.read(str(folder))
    assert (read.head.kind, dict(read.dropped)) == ("masked_lm", {})
    model = bert_tf.PretrainingModel(make_encoder(read.config))
    variables = named_variables(model)
    assert set(variables) == set(read.weights)
    for name, variable in variables.items():
        variable.assign(read.weights[name])

    golden = np.load(folder / "reference.npz")
    names = {
        "input_ids": "input_ids",
        "attention_mask": "input_mask",
        "token_type_ids": "segment_ids",
    }
    batch = {ours: golden[theirs].astype("int32") for theirs, ours in names.items()}
    places = np.arange(batch["input_ids"].shape[1], dtype="int32")
    batch["masked_lm_positions"] = np.tile(places, (len(batch["input_ids"]), 1))
    outputs, heads = model.encoder(model.encoder.select_features(batch)), model(batch)
    is_token = batch["input_mask"] == 1
    for number, layer in enumerate(outputs["all_encoder_layers"], start=1):
        expected = golden[f"hidden_{number}"][is_token]
        np.testing.assert_allclose(layer.numpy()[is_token], expected, atol=1e-5)
    logits = heads["masked_lm_logits"].numpy()[is_token]
    np.testing.assert_allclose(logits, golden["prediction_logits"][is_token], atol=1e-5)
    np.testing.assert_allclose(heads["next_sentence_logits"], golden["sop_logits"], atol=1e-5)

    huggingface.write(read, str(tmp_path / "again"))
    again = load_file(tmp_path / "again" / "model.safetensors")
    before = load_file(folder / "model.safetensors")
    assert set(again) == set(before)
    for name, value in before.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def equally_wide_albert():
    config = dataclasses.replace(
        CONFIG, model_type="albert", embedding_size=8, num_hidden_groups=1, inner_group_num=1
    )
    return make_model("masked LM", config, tokenizer=TokenizerFiles())


def test_where_e_is_h_the_mapping_is_written_as_an_identity_and_only_such_a_one_read(tmp_path):
    from safetensors.numpy import load_file, save_file

    model, name = equally_wide_albert(), "albert.encoder.embedding_hidden_mapping_in"
    huggingface.write(model, str(tmp_path / "model"))
    path = tmp_path / "model" / "model.safetensors"
    tensors = load_file(path)
    np.testing.assert_array_equal(tensors[f"{name}.weight"], np.eye(8))
    np.testing.assert_array_equal(tensors[f"{name}.bias"], np.zeros(8))
    read = huggingface.read(str(tmp_path / "model"))
    assert (set(read.weights), dict(read.dropped)) == (set(model.weights), {})
    assert set(read.redundant) == {f"{name}.weight", f"{name}.bias"}
    assert "an identity" in read.redundant.values()

    for part, change in (("weight", 0.01), ("bias", 1e-6)):
        altered = {**tensors, f"{name}.{part}": tensors[f"{name}.{part}"] + np.float32(change)}
        save_file(altered, path)
        with pytest.raises(ValueError, match=rf"{part} changes the embeddings.*must be an identi"):
            huggingface.read(str(tmp_path / "model"))


@pytest.mark.skipif(
    not huggingface_outputs.is_installed(), reason="needs: pip install '.[huggingface]'"
)
def test_transformers_computes_the_same_where_e_is_h(tmp_path):
    model = equally_wide_albert()
    huggingface.write(model, str(tmp_path / "model"))
    check = check_conversion(model, str(tmp_path / "model"), "huggingface")
    assert "masked_lm_logits" in check
    assert check.endswith("after: transformers")


def test_the_special_tokens_are_those_of_sentencepiece(tmp_path):
    model = family_file("albert/spm.model")
    pieces = tuple(read_vocabulary(str(model)))
    config = dataclasses.replace(equally_wide_albert().config, vocab_size=len(pieces))
    tokenizer = TokenizerFiles(pieces, True, None, model.read_bytes())
    huggingface.write(make_model("masked LM", config, tokenizer=tokenizer), str(tmp_path / "new"))
    assert json.loads((tmp_path / "new" / "config.json").read_text())["pad_token_id"] == 0
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        content = json.loads((tmp_path / "new" / name).read_text())
        tokens = [content[f"{name}_token"] for name in ("pad", "unk", "cls", "sep", "mask")]
        assert tokens == [*pieces[:5]] == ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]


@pytest.mark.parametrize("is_lower", [True, False])
def test_the_case_is_told_by_the_steps_of_normalization(tmp_path, is_lower):
    steps = [{"type": "NFKD"}, *([{"type": "Lowercase"}] if is_lower else [])]
    normalizer = {"type": "Sequence", "normalizers": steps}
    content = {"model": {"type": "Unigram", "vocab": [["<pad>", 0.0]]}, "normalizer": normalizer}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    tokenizer, unlike = read_tokenizer(str(tmp_path))
    assert (tokenizer.vocab, tokenizer.do_lower_case) == (None, is_lower)
    assert "spiece.model of the model that was trained further" in " ".join(unlike.values())
    (tmp_path / "spiece.model").write_bytes(family_file("albert/spm.model").read_bytes())
    tokenizer, unlike = read_tokenizer(str(tmp_path))
    assert (len(tokenizer.vocab), tokenizer.do_lower_case, unlike) == (400, is_lower, {})
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": not is_lower}))
    assert read_tokenizer(str(tmp_path))[0].do_lower_case is not is_lower
