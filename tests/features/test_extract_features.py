"""extract_features.py: what it writes, as the original does, and what it refuses."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import forked_python
import numpy as np
import pytest

import bert_tf
from bert_tf.config import BertConfig
from bert_tf.features.extractor import FeatureExtractor
from bert_tf.settings import FeatureExtractionSettings
from bert_tf.training.checkpoint import named_variables, write_tensors

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG_OF_ELECTRA = {
    "model_type": "electra",
    "vocab_size": 22,
    "embedding_size": 8,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def read_json(path: str) -> list[dict]:
    with open(path, encoding="ascii") as file:
        text = file.read()
    assert text.endswith("\n") or not text
    return [json.loads(line) for line in text.splitlines()]


def vectors_of(line: dict) -> np.ndarray:
    rows = [[layer["values"] for layer in token["layers"]] for token in line["features"]]
    return np.array(rows)


def test_every_line_has_the_vectors_that_the_model_gives_for_it_alone(
    run, lines, expected_features
):
    written = read_json(run())
    assert [line["linex_index"] for line in written] == list(range(len(lines)))
    for line, text in zip(written, lines, strict=True):
        tokens, vectors = expected_features(text)
        assert [token["token"] for token in line["features"]] == tokens
        for token in line["features"]:
            assert [layer["index"] for layer in token["layers"]] == [-1, 0]
        np.testing.assert_allclose(vectors_of(line), vectors, atol=1e-5)


def test_an_electra_model_s_lines_are_tokenized_as_electra_s(run, tmp_path):
    config = BertConfig(**CONFIG_OF_ELECTRA)
    (tmp_path / "config.json").write_text(config.to_json_string())
    prefix = str(tmp_path / "model.ckpt")
    bert_tf.save_checkpoint(bert_tf.ElectraEncoder(config), prefix)
    files = {"bert_config_file": str(tmp_path / "config.json"), "init_checkpoint": prefix}
    (line,) = read_json(run(["the\u0378 dog"], **files))  # An unassigned character, left out.
    assert [token["token"] for token in line["features"]] == ["[CLS]", "the", "dog", "[SEP]"]


def test_the_file_is_to_the_byte_what_json_writes_of_the_values(
    run, encoder, tokenizer, lines, vocabulary
):
    extractor = FeatureExtractor(encoder, tokenizer, [-1, 0], "tokens", 16, 3)
    expected = ""
    for line in extractor.extract(lines):
        features = []
        for token_id, token_vectors in zip(line.token_ids, line.vectors, strict=True):
            layers = [
                {"index": index, "values": [round(float(x), 6) for x in vector]}
                for index, vector in zip((-1, 0), token_vectors, strict=True)
            ]
            features.append({"token": vocabulary[token_id], "layers": layers})
        expected += json.dumps({"linex_index": line.linex_index, "features": features}) + "\n"
    with open(run(), "rb") as file:
        assert file.read() == expected.encode("ascii")


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_pooled_vectors_are_those_of_cls_or_the_mean_of_all_tokens(
    run, pool, lines, expected_features
):
    for line, text in zip(read_json(run(pool=pool)), lines, strict=True):
        _, vectors = expected_features(text)
        expected = vectors[0] if pool == "cls" else vectors.mean(axis=0)
        assert [token["token"] for token in line["features"]] == [{"cls": "[CLS]"}.get(pool, pool)]
        np.testing.assert_allclose(vectors_of(line)[0], expected, atol=1e-5)


def test_gzipped_text_and_lines_with_carriage_returns_are_read(run, tmp_path):
    expected = read_json(run(["he went", "", "the dog"]))
    for name, content in (
        ("a.gz", gzip.compress(b"he went\n\nthe dog")),
        ("b", b"he went\r\n\r\n"),
    ):
        (tmp_path / name).write_bytes(content)
        written = read_json(run(input_file=str(tmp_path / name)))
        assert written == expected[: len(written)]
    assert len(written) == 2


def test_a_checkpoint_without_pooler_will_do(run, encoder, tmp_path):
    variables = {n: v for n, v in named_variables(encoder).items() if "pooler" not in n}
    write_tensors(str(tmp_path / "bare.ckpt"), variables)
    written = read_json(run(init_checkpoint=str(tmp_path / "bare.ckpt")))
    assert written == read_json(run())


def test_one_hot_embeddings_make_no_difference(run):
    assert read_json(run(use_one_hot_embeddings=True)) == read_json(run())


@pytest.mark.parametrize("layers", ["-4", "3", "a", "", "0,-13", "1;2", "-1,"])
def test_layers_that_the_model_has_not_are_refused_with_those_it_has(run, tmp_path, layers):
    expected = r"--layers .* from -3 \(the first layer\) to 2 \(the last\)\. Received: '"
    with pytest.raises(ValueError, match=expected + layers):
        run(layers=layers)
    assert sorted(os.listdir(tmp_path)) == ["input.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_seq_length": 17}, r"--max_seq_length=17 .*max_position_embeddings is 16"),
        ({"max_seq_length": 1}, r"--max_seq_length must be .* at least 2"),
        ({"batch_size": 0}, r"--batch_size must be .* at least 1"),
        ({"output_format": "csv"}, r"--output_format must be one of 'json', 'npz', 'tfrecord'"),
        ({"pool": "max"}, r"--pool must be one of 'tokens', 'cls', 'mean'"),
        ({"vocab_file": ""}, r"--vocab_file is needed"),
        ({"init_checkpoint": "nothing/here"}, r"No checkpoint at nothing/here"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(
    run, tmp_path, change, message
):
    with pytest.raises(ValueError, match=message):
        run(**change)
    assert sorted(os.listdir(tmp_path)) == ["input.txt"]


def test_a_vocabulary_of_another_size_than_the_models_is_refused(
    run, model_dir, tmp_path, vocabulary
):
    vocab_file = tmp_path / "vocab.txt"
    vocab_file.write_text("\n".join([*vocabulary, "x", "y", "z"]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab.txt has 25 rows, .* have 24"):
        run(vocab_file=str(vocab_file))
    config = json.loads((model_dir / "bert_config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": 30522}))
    with pytest.raises(ValueError, match=r"vocab.txt has 22 rows, .* have 30522"):
        run(bert_config_file=str(tmp_path / "config.json"))


def test_a_case_that_is_not_the_checkpoints_is_refused(run, tmp_path, encoder):
    path = str(tmp_path / "cased_L-12_H-768_A-12" / "bert_model.ckpt")
    bert_tf.save_checkpoint(encoder, path)
    with pytest.raises(ValueError, match="cased_L-12_H-768_A-12 is a cased model"):
        run(init_checkpoint=path)
    run(init_checkpoint=path, do_lower_case=False)


def test_a_text_is_never_overwritten_by_its_features(run, tmp_path):
    with pytest.raises(ValueError, match="would overwrite --input_file"):
        run(output_file=str(tmp_path / "." / "input.txt"))


@pytest.mark.parametrize("output_format", ["json", "npz", "tfrecord"])
def test_text_that_is_not_utf8_is_refused_with_its_line_and_nothing_is_left(
    run, tmp_path, output_format
):
    (tmp_path / "input.txt").write_bytes(b"he went\nthe caf\xe9\n")
    with pytest.raises(ValueError, match=r"input.txt:2: not UTF-8: byte 0xe9"):
        run(output_format=output_format)
    assert os.listdir(tmp_path) == ["input.txt"]


def run_script(scripts_dir, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, scripts_dir / "extract_features.py", *arguments]
    return forked_python.run(command, timeout=300)


def test_the_originals_command_line_runs_unchanged(
    scripts_dir, model_dir, tmp_path, expected_features
):
    (tmp_path / "input.txt").write_text("Is he jackson ? ||| the dog went .\n\nhe\n")
    result = run_script(
        scripts_dir,
        f"--input_file={tmp_path}/input.txt",
        f"--output_file={tmp_path}/output.jsonl",
        f"--vocab_file={model_dir}/vocab.txt",
        f"--bert_config_file={model_dir}/bert_config.json",
        f"--init_checkpoint={model_dir}/bert_model.ckpt",
        "--layers=-1,-2,-3",
        "--max_seq_length=16",
        "--batch_size=8",
        "--do_lower_case=True",
        "--use_tpu=False",
        "--num_tpu_cores=8",
        "--use_one_hot_embeddings=False",
        "--master=grpc://10.0.0.2:8470",
    )
    assert result.returncode == 0, result.stderr
    assert "3/3 lines" in result.stderr
    written = read_json(str(tmp_path / "output.jsonl"))
    for line, text in zip(written, ["is he jackson ? ||| the dog went .", "", "he"], strict=True):
        tokens, vectors = expected_features(text, (-1, -2, -3))
        assert [token["token"] for token in line["features"]] == tokens
        np.testing.assert_allclose(vectors_of(line), vectors, atol=1e-5)


def test_the_flags_have_the_originals_defaults():
    fields = FeatureExtractionSettings.__dataclass_fields__
    originals = {
        **dict.fromkeys(("input_file", "output_file", "bert_config_file"), ""),  # Needed.
        **dict.fromkeys(("init_checkpoint", "vocab_file"), ""),
        "layers": "-1,-2,-3,-4",
        "max_seq_length": 128,
        "do_lower_case": True,
        "batch_size": 32,
        "use_tpu": False,
        "master": None,
        "num_tpu_cores": 8,
        "use_one_hot_embeddings": False,
    }
    assert {name: fields[name].default for name in originals} == originals


def test_the_script_says_what_is_wrong_in_one_line(scripts_dir, model_dir, tmp_path):
    (tmp_path / "input.txt").write_text("he\n")
    flags = [
        f"--input_file={tmp_path}/input.txt",
        f"--output_file={tmp_path}/output.jsonl",
        f"--vocab_file={model_dir}/vocab.txt",
        f"--bert_config_file={model_dir}/bert_config.json",
    ]
    result = run_script(scripts_dir, *flags, f"--init_checkpoint={model_dir}/bert_model.ckpt")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: --layers must be")  # The default of four is too many.
    assert "Traceback" not in result.stderr
    assert "--init_checkpoint" in run_script(scripts_dir, *flags).stderr


@pytest.mark.data
def test_a_checkpoint_of_the_original_gives_features(run, data_dir, tmp_path):
    folder = data_dir / "tf1_tiny_checkpoint"
    config = json.loads((folder / "bert_config.json").read_text())
    config = {name: value for name, value in config.items() if name in BertConfig.__annotations__}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (line,) = read_json(
        run(
            ["All work and no play"],
            layers="-1,-2",
            bert_config_file=str(tmp_path / "config.json"),
            init_checkpoint=str(folder / "bert_model.ckpt"),
            vocab_file=str(folder / "vocab.txt"),
        )
    )
    tokens = [token["token"] for token in line["features"]]
    assert tokens == ["[CLS]", "all", "work", "and", "no", "play", "[SEP]"]
    encoder = bert_tf.BertEncoder(BertConfig.from_dict(config))
    bert_tf.load_checkpoint(encoder, str(folder / "bert_model.ckpt"))
    ids = [(folder / "vocab.txt").read_text().split().index(token) for token in tokens]
    layers = encoder({"input_ids": np.array([ids])})["all_encoder_layers"]
    expected = np.stack([np.array(layers[i])[0] for i in (-1, -2)], axis=1)
    np.testing.assert_allclose(vectors_of(line), expected, atol=1e-5)


def test_the_examples_of_the_guide_read_what_is_written(run, model_dir, tmp_path, monkeypatch):
    guide = (REPOSITORY / "docs" / "features.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    settings = [
        {"output_format": "json", "output_file": "output.jsonl"},
        {"output_format": "npz", "output_file": "output.npz"},
        {"output_format": "npz", "output_file": "sentences.npz", "pool": "mean", "layers": "-2"},
        {"output_format": "tfrecord", "output_file": "output.tfrecord"},
    ]
    monkeypatch.chdir(tmp_path)
    for example, changes in zip(examples, settings, strict=False):
        run(**changes)
        exec(example, names := {})
        assert np.shape(names["vectors"])[-1] == 8
    monkeypatch.chdir(model_dir)
    exec(examples[-1], names := {})
    assert names["line"].vectors.shape == (1, 8)
    assert len(examples) == len(settings) + 1
