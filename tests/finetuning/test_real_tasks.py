"""Every real task that is there, from its files to the file for its server."""

import dataclasses
import gzip
import json
import os
import zipfile
from pathlib import Path

import pytest

from bert_tf.finetuning.program import run_finetuning
from bert_tf.settings import FinetuningSettings

pytestmark = [pytest.mark.data, pytest.mark.slow]

CONFIG = {
    "vocab_size": 30522,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
# Task, its folder, and the header of a test file where none is there: it is made of the texts of
# the evaluation set.
TASKS = [
    ("cola", "CoLA", "index\tsentence"),
    ("sst-2", "SST-2", "index\tsentence"),
    ("mrpc", "MRPC", None),
    ("sts-b", "STS-B", "index\tsentence1\tsentence2"),
    ("rte", "RTE", "index\tsentence1\tsentence2"),
    ("wnli", "WNLI", None),
]


def settings_for(data_dir: Path, output_dir: Path, **changes) -> FinetuningSettings:
    config_file = output_dir / "small.json"
    config_file.write_text(json.dumps(CONFIG))
    return FinetuningSettings(
        bert_config_file=str(config_file),
        vocab_file=str(data_dir / "vocab" / "bert_base_uncased.txt"),
        output_dir=str(output_dir / "out"),
        learning_rate=1e-3,
        do_train=True,
        do_eval=True,
        do_predict=True,
        **changes,
    )


def files_with_a_test_set(source: Path, folder: Path, task, header: str | None) -> Path:
    """The task's files as they are, and a test file if there is none."""
    for path in source.iterdir():
        os.symlink(path, folder / path.name)
    if header is None:
        return folder
    rows = [header]
    for index, example in enumerate(task.read("eval")):
        texts = [text for text in (example.text_a, example.text_b) if text is not None]
        rows.append("\t".join([str(index), *(text.replace("\t", " ") for text in texts)]))
    (folder / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(("name", "folder", "header"), TASKS)
def test_train_evaluate_predict_submit(name, folder, header, data_dir, tmp_path):
    from bert_tf.tasks.task import find_task

    source = data_dir / "glue" / folder
    task = find_task(f"glue:{name}", {"data_dir": str(source)})
    (tmp_path / "files").mkdir()
    files = files_with_a_test_set(source, tmp_path / "files", task, header)
    settings = settings_for(
        data_dir,
        tmp_path,
        task=f"glue:{name}",
        task_options=(f"data_dir={files}",),
        max_seq_length=128,
        num_train_epochs=0.2 if name == "sst-2" else 1.0,
    )
    figures = run_finetuning(settings)
    for figure in task.metrics:
        assert -1.0 <= figures[f"eval_{figure}"] <= 1.0
    (submission,) = Path(settings.output_dir, "submission").iterdir()
    lines = submission.read_text().splitlines()
    test = find_task(f"glue:{name}", {"data_dir": str(files)}).read("predict")
    assert lines[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in lines[1:]] == [str(i) for i in range(len(test))]
    words = {line.split("\t")[1] for line in lines[1:]}
    if task.labels:
        assert words <= set(task.labels)
    else:
        assert all(0.0 <= float(word) <= 5.0 for word in words)
    with zipfile.ZipFile(tmp_path / "submission.zip", "w") as archive:
        archive.write(submission, submission.name)


def test_questions_with_a_development_set_only_are_learned_from_it(data_dir, tmp_path):
    """QNLI's training file is not there: its development set stands in for it."""
    source = data_dir / "glue" / "QNLI" / "dev.tsv"
    lines = source.read_text(encoding="utf-8").splitlines()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "train.tsv").write_text("\n".join(lines[:3000]) + "\n", encoding="utf-8")
    os.symlink(source, tmp_path / "files" / "dev.tsv")
    settings = settings_for(
        data_dir,
        tmp_path,
        task="glue:qnli",
        task_options=(f"data_dir={tmp_path / 'files'}",),
        max_seq_length=128,
        num_train_epochs=1.0,
    )
    figures = run_finetuning(dataclasses.replace(settings, do_predict=False))
    assert 0.4 < figures["eval_accuracy"] <= 1.0


def test_sst_2_is_learned_from_scratch(data_dir, tmp_path):
    settings = settings_for(
        data_dir,
        tmp_path,
        task="glue:sst-2",
        task_options=(f"data_dir={data_dir / 'glue' / 'SST-2'}",),
        num_train_epochs=1.0,
    )
    figures = run_finetuning(dataclasses.replace(settings, do_predict=False))
    assert figures["eval_accuracy"] > 0.78


def one_answer_each(path: Path, folder: Path) -> Path:
    """A development file as a training file is: with one answer to a question at most."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                del question["answers"][1:]
    (folder / "train.json").write_text(json.dumps(content))
    return folder / "train.json"


@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_squad_is_answered_and_scored(version, data_dir, tmp_path):
    squad = data_dir / "squad"
    options = [
        f"train_file={one_answer_each(squad / f'dev-v{version}.json.gz', tmp_path)}",
        f"predict_file={squad / f'dev-v{version}.json.gz'}",
        "mask_padding=true",
    ]
    if version == "2.0":
        options.append("version_2_with_negative=true")
    settings = settings_for(
        data_dir,
        tmp_path,
        task="squad",
        task_options=tuple(options),
        max_seq_length=256,
        num_train_epochs=0.2,
        eval_batch_size=64,
    )
    figures = run_finetuning(settings)
    predictions = json.loads(Path(settings.output_dir, "predictions.json").read_text())
    assert len(predictions) == {"1.1": 10570, "2.0": 11873}[version]
    assert 0.0 <= figures["eval_f1"] <= 100.0
    if version == "2.0":
        assert figures["eval_best_f1"] >= 50.0  # As high as with no answer to anything.
