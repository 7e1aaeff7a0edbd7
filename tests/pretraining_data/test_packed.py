"""ELECTRA's packing: the records of google-research/electra, byte for byte."""

import json

import pytest
import tensorflow as tf
from family_golden import family_file

from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings

RUNS = json.loads(family_file("electra/pretraining_data/settings.json").read_text())


def settings(tmp_path, run="default", **values):
    folder, of_run = family_file("electra/pretraining_data/settings.json").parent, RUNS[run]
    return PretrainingDataSettings(
        **{
            "input_file": f"{folder}/corpus/*.txt",
            "output_file": [str(tmp_path / f"{n}.tfrecord") for n in range(of_run["files"])],
            "vocab_file": str(family_file("electra/vocab.txt")),
            "packing": "electra",
            "max_seq_length": of_run["max_length"],
            "do_lower_case": of_run["do_lower_case"],
            "strip_accents": of_run["strip_accents"],
            "blanks_separate_docs": of_run["blanks"],
            "random_seed": of_run["seed"],
            **values,
        }
    )


@pytest.mark.parametrize("run", RUNS)
def test_records_are_the_originals(tmp_path, run):
    made = settings(tmp_path, run)
    report = create_pretraining_data(made)
    for number, path in enumerate(made.output_file):
        golden = family_file(f"electra/pretraining_data/{run}-{number}.tfrecord")
        ours = [bytes(record.numpy()) for record in tf.data.TFRecordDataset(path)]
        theirs = [bytes(record.numpy()) for record in tf.data.TFRecordDataset(str(golden))]
        assert ours == theirs
    assert report.statistics.examples == RUNS[run]["written"]
    assert report.statistics.masked_tokens == 0
    assert "random next" not in "\n".join(report.lines())


def test_shards_do_not_depend_on_the_number_of_workers(tmp_path):
    contents = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        made = settings(
            tmp_path, output_file=(), output_dir=str(folder), num_shards=2, num_workers=workers
        )
        report = create_pretraining_data(made)
        contents.append([open(path, "rb").read() for path in report.paths])  # noqa: SIM115
        described = json.loads((folder / "manifest.json").read_text())
        assert "electra" in json.dumps(described)
    assert contents[0] == contents[1]
    assert report.statistics.documents > 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"masked_lm_prob": 0.2}, r"neither masks nor labelled pairs.*--masked_lm_prob=0\.2"),
        ({"dupe_factor": 5}, "--dupe_factor=5"),
        ({"masking": "dynamic"}, "--masking=dynamic"),
        ({"packing": "bert", "blanks_separate_docs": False}, "needs --packing=electra"),
    ],
)
def test_settings_that_change_nothing_are_refused(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        settings(tmp_path, **values)
