"""run_scripts/learn_vocab.py as a process."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bert_tf.text.byte_bpe import ByteBpeTokenizer

LICENSE = Path(__file__).resolve().parents[2] / "LICENSE"
TEXT = LICENSE.read_text(encoding="utf-8") * 2 + "Café naïve résumé\n"


@pytest.fixture
def run(scripts_dir):
    def run_script(*flags, **environment):
        return subprocess.run(
            [sys.executable, scripts_dir / "learn_vocab.py", *map(str, flags)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )

    return run_script


@pytest.fixture
def text_files(tmp_path):
    """The same text in two halves, the second one packed; as a pattern."""
    (tmp_path / "a.txt").write_text(TEXT[:9000], encoding="utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(TEXT[9000:].encode()))
    return f"{tmp_path}/[ab].txt*"


def test_the_same_text_gives_the_same_bytes(run, text_files, tmp_path):
    outputs = [tmp_path / "1.vocab", tmp_path / "2.vocab", tmp_path / "3.vocab"]
    settings = [
        {"PYTHONHASHSEED": "1", "RAYON_NUM_THREADS": "1"},
        {"PYTHONHASHSEED": "2", "RAYON_NUM_THREADS": "2"},
        {"PYTHONHASHSEED": "3", "RAYON_NUM_THREADS": "7"},
    ]

    for output, environment in zip(outputs, settings, strict=True):
        result = run(
            f"--input_file={text_files}",
            f"--output_file={output}",
            "--vocab_size=700",
            **environment,
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout == f"700 tokens in {output}\n"

    vocabularies = {output.read_bytes() for output in outputs}
    assert len(vocabularies) == 1
    rows = vocabularies.pop().decode().split("\n")
    assert rows[:6] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "!"]
    assert len(rows) == 701
    assert rows[-1] == ""


def test_several_inputs_case_and_unused_rows(run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT[:9000], encoding="utf-8")
    (tmp_path / "b.txt").write_text(TEXT[9000:], encoding="utf-8")
    output = tmp_path / "vocab.txt"

    result = run(
        f"--input_file={tmp_path}/a.txt,{tmp_path}/b.txt",
        f"--output_file={output}",
        "--vocab_size=700",
        "--do_lower_case=False",
        "--num_unused=120",
    )

    assert result.returncode == 0, result.stderr
    rows = output.read_text(encoding="utf-8").splitlines()
    assert len(rows) == 700
    assert rows[:2] + rows[99:105] == [
        *["[PAD]", "[unused0]", "[unused98]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused99]"]
    ]
    assert {"A", "License", "é"} <= set(rows)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input_file=nothing.txt"], "No file matches the input pattern"),
        (["--input_file={folder}"], "a directory, where a file is needed"),
        (
            ["--input_file={folder}/text.txt", "--vocab_size=30522"],
            "too small for vocab_size=30522",
        ),
        (["--input_file={folder}/bad.txt"], "bad.txt:2: not UTF-8"),
        (["--input_file={folder}/empty.txt"], "There are no words in"),
    ],
)
def test_errors_are_one_message_and_leave_no_file(run, tmp_path, flags, message):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "bad.txt").write_bytes(b"good\nbad \xff\n")
    (tmp_path / "empty.txt").write_bytes(b"")
    files = sorted(tmp_path.iterdir())

    result = run(
        f"--output_file={tmp_path}/vocab.txt", *(flag.format(folder=tmp_path) for flag in flags)
    )

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.iterdir()) == files


def test_a_full_disk_leaves_no_file(run):
    result = run(f"--input_file={LICENSE}", "--output_file=/dev/full", "--vocab_size=300")

    assert result.returncode == 1
    assert "Error: [Errno 28] No space left on device: '/dev/full'" in result.stderr


def test_needed_flags_are_named(run):
    result = run("--vocab_size=300")

    assert result.returncode != 0
    assert "--input_file" in result.stderr + result.stdout


def test_byte_bpe_is_learned_into_the_file_that_the_tokenizers_read(run, text_files, tmp_path):
    outputs = [tmp_path / "1.json", tmp_path / "2.json"]
    for output, threads in zip(outputs, ("1", "3"), strict=True):
        result = run(
            *(f"--input_file={text_files}", f"--output_file={output}", "--vocab_size=500"),
            RAYON_NUM_THREADS=threads,
            PYTHONHASHSEED=threads,
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout == f"500 tokens in {output}\n"
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    tokenizer = ByteBpeTokenizer(str(outputs[0]))
    assert tokenizer.vocab_size == 500
    assert (*tokenizer.special_ids[:3], tokenizer.special_ids.mask) == (1, 3, 0, 499)
    text = " Licensed under the LICENSE; naïve, 😀"
    assert tokenizer.join_tokens(tokenizer.tokenize(text)) == text
    assert "Ġthe" in tokenizer.tokenize(text)
    transformers = pytest.importorskip("transformers", reason="needs: pip install transformers")
    again = transformers.PreTrainedTokenizerFast(tokenizer_file=str(outputs[0]))
    assert again(text)["input_ids"][1:-1] == tokenizer.encode(text)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--do_lower_case",), "--do_lower_case is for WordPiece"),
        (("--num_unused=3",), "--num_unused is for WordPiece"),
        (("--vocab_size=260",), "vocab_size must be at least 261"),
        (("--vocab_size=90000",), r"too small for vocab_size=90000: .* at most --vocab_size="),
    ],
)
def test_byte_bpe_that_cannot_be_learned_is_refused(run, text_files, tmp_path, flags, message):
    output = tmp_path / "tokenizer.json"
    common = (f"--input_file={text_files}", f"--output_file={output}", "--vocab_size=500")
    result = run(*common, *flags)
    assert result.returncode == 1
    assert re.search(message, result.stderr)
    assert not output.exists()
