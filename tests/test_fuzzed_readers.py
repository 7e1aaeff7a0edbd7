"""Each reader, given damaged files: it reads them, or says which file cannot be read."""

import bz2
import gzip
import json
import os
import shutil
import warnings
from pathlib import Path

import pytest
from damaged_copies import damaged, damaged_json

from bert_tf.config import BertConfig
from bert_tf.corpus.dump import read_header, read_pages, read_pieces
from bert_tf.data.manifest import FILE_NAME as MANIFEST
from bert_tf.data.record_index import build_record_index
from bert_tf.data.records import RecordWriter
from bert_tf.data.schema import encode_example
from bert_tf.released.model_folder import read_description
from bert_tf.settings.phases import parse_phases
from bert_tf.tasks.json_items import read_json_lines
from bert_tf.tasks.squad import Options
from bert_tf.tasks.squad_files import SquadFiles
from bert_tf.tasks.superglue_inputs import READERS
from bert_tf.tasks.tables import TableLayout, read_records
from bert_tf.text.vocabulary import load_vocab

# More places find more, in more time.
PLACES = int(os.environ.get("BERT_TF_FUZZ_PLACES", "6"))
SPECIAL = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

CONFIG = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 10,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02,
}
TASK = {
    "task": "csv",
    "kind": "classification",
    "inputs": ["text_a"],
    "labels": ["a", "b"],
    "options": {"metric": "f1"},
    "max_seq_length": 10,
    "do_lower_case": True,
}
SQUAD = {
    "data": [
        {
            "title": "t",
            "paragraphs": [
                {
                    "context": "It was cold.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "How?",
                            "is_impossible": False,
                            "answers": [{"text": "cold", "answer_start": 7}],
                        }
                    ],
                }
            ],
        }
    ]
}
PHASES = [{"max_seq_length": 128, "num_steps": 9, "input_file": "a", "learning_rate": 0.1}]
DUMP = b"""<mediawiki xml:lang="en"><siteinfo><namespaces><namespace key="6" case="first-letter">
File</namespace></namespaces></siteinfo>
<page><title>Cat</title><ns>0</ns><revision><model>wikitext</model><text>A cat.</text></revision>
</page>
<page><title>Dog</title><ns>0</ns><redirect title="Cat"/><revision><text>A dog.</text></revision>
</page>
</mediawiki>
"""


COPA = {"premise": "a", "choice1": "b", "choice2": "c", "question": "cause", "idx": 0, "label": 1}
RECORD = {
    "passage": {"text": "Ann met Bob", "entities": [{"start": 0, "end": 2}]},
    "qas": [{"query": "@placeholder met", "answers": [{"text": "Ann"}], "idx": 1}],
    "idx": 2,
}
SPANS = {"span1_text": "Ann", "span1_index": 0, "span2_text": "she", "span2_index": 2}
WSC = {"text": "Ann said she left", "target": SPANS, "idx": 3, "label": True}


def records(folder, compress=False):
    with open(folder / "records", "wb") as file:
        writer = RecordWriter(file, compress)
        for number in range(3):
            writer.write(encode_example({"input_ids": [number] * 4}), 4)
        return writer.finish("records")


def manifest_of(entry):
    run = {
        "settings": {"max_seq_length": 4, "max_predictions_per_seq": 2},
        "vocabulary": {"file": "v", "size": 30},
        "files": [entry],
    }
    return {"format": 1, "runs": [run]}


def read_dump(path):
    read_header(path)
    return [list(read_pages(piece, False)) for piece in read_pieces(path, 50, False)]


def read_squad(path):
    options = Options(train_file=path, predict_file=path)
    SquadFiles(options).read("eval")
    SquadFiles(options).splits("eval")
    SquadFiles(options).read("train")


def table(name, columns=("a", "b")):
    return lambda path: list(read_records(path, TableLayout(), columns))


def superglue(variant):
    return lambda path: [list(READERS[variant](item)) for item in read_json_lines(path)]


# Name of the damaged file -> its content, as bytes or JSON, and what reads it.
TEXTS = {
    "bert_config.json": (CONFIG, BertConfig.from_json_file),
    "task.json": (TASK, lambda path: read_description(str(Path(path).parent))),
    "squad.json": (SQUAD, read_squad),
    "phases.json": (PHASES, parse_phases),
    "vocab.txt": ((SPECIAL + "the\n").encode(), load_vocab),
    "vocab.txt.gz": (gzip.compress(SPECIAL.encode()), load_vocab),
    "table.tsv": (b"a\tb\n1\t2\n3\t4\n", table("tsv")),
    "table.csv": (b'a,b\n"1",2\n3,4\n', table("csv")),
    "table.csv.gz": (gzip.compress(b'a,b\n"1",2\n3,4\n'), table("csv")),
    "row.jsonl": ({"a": "x", "b": 1}, table("jsonl")),
    "copa.jsonl": (COPA, superglue("copa")),
    "record.jsonl": (RECORD, superglue("record")),
    "wsc.jsonl": (WSC, superglue("wsc")),
    "dump.xml": (DUMP, read_dump),
    "dump.xml.bz2": (bz2.compress(DUMP), read_dump),
    "streams.xml.bz2": (
        b"".join(map(bz2.compress, [DUMP[:210], *DUMP[210:].partition(b"</page>\n")])),
        read_dump,
    ),
    "dump.xml.gz": (gzip.compress(DUMP), read_dump),
}


def check(path, variants, read):
    """Reads each damaged variant of the file `path`."""
    failures = []
    for what, content in variants:
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(str(path))
        except (ValueError, OSError) as error:
            if str(path.parent) not in str(error):
                failures.append(f"{what}: without the path: {error!r:.200}")
        except Exception as error:
            failures.append(f"{what}: {error!r:.200}")
    assert not failures, "\n".join([f"{len(failures)}", *failures])


def variants_of(content):
    encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
    yield from damaged(encoded, PLACES)
    if not isinstance(content, bytes):
        yield from damaged_json(content)


@pytest.mark.parametrize("name", TEXTS)
def test_damaged_text(tmp_path, name):
    content, read = TEXTS[name]
    check(tmp_path / name, variants_of(content), read)


@pytest.mark.parametrize("compress", [False, True])
def test_damaged_records(tmp_path, compress):
    records(tmp_path, compress)
    content = (tmp_path / "records").read_bytes()
    check(tmp_path / "records", damaged(content, PLACES), lambda path: build_record_index([path]))


def test_damaged_manifests_and_caches_of_records(tmp_path):
    def read(path):
        index = build_record_index([str(tmp_path / "records")])
        assert index.num_examples == 3

    check(tmp_path / MANIFEST, variants_of(manifest_of(records(tmp_path))), read)
    (tmp_path / MANIFEST).unlink()
    cache = str(tmp_path / "cache.json")
    build_record_index([str(tmp_path / "records")], cache_file=cache)
    content = json.loads(Path(cache).read_text())
    check(
        tmp_path / "cache.json",
        variants_of(content),
        lambda path: build_record_index([str(tmp_path / "records")], cache_file=path),
    )


RUN = {"format": 3, "settings": {"a": 1}, "libraries": {"b": "1"}}
RUN["inputs"] = [{"path": "p", "language": "en", "source": "text"}]


def test_damaged_notes_of_runs(tmp_path):
    from bert_tf.corpus.parts import start_or_resume
    from bert_tf.settings import TrainingSettings
    from bert_tf.training.run_directory import MetricsLog, check_settings

    (tmp_path / "model.ckpt-1.index").write_bytes(b"x")
    (tmp_path / "part-000000.json").write_bytes(b"{}")
    settings = TrainingSettings(bert_config_file="c", output_dir=str(tmp_path))
    check(
        tmp_path / "run_settings.json",
        variants_of({"seed": 1, "phases": [{"num_steps": 2}]}),
        lambda path: check_settings(settings, {"seed": 1, "phases": [{"num_steps": 2}]}),
    )
    check(tmp_path / "run.json", variants_of(RUN), lambda path: start_or_resume(str(tmp_path), RUN))

    def log(path):
        with MetricsLog(str(tmp_path), 5) as metrics:
            metrics.evaluation(3)

    check(tmp_path / "metrics.jsonl", variants_of({"step": 3, "eval_loss": 1.5}), log)


def test_a_damaged_result_of_a_sweep(tmp_path):
    from bert_tf.finetuning import sweep

    result = {
        "name": "r",
        "learning_rate": 1e-5,
        "batch_size": 8,
        "seed": 1,
        "value": 0.5,
        "is_collapsed": False,
        "is_diverged": False,
        "step": 3,
        "figures": {"a": 1.0},
    }

    def read(path):
        found = sweep._read_result(path, {"a": 1})
        assert sweep._best_of([found, found]) is found
        assert f"{found.value:.4f} {sweep._summary([found])}"

    check(tmp_path / "result.json", variants_of({"result": result, "settings": {"a": 1}}), read)


def test_a_damaged_state_of_a_download_is_not_resumed(tmp_path):
    from bert_tf.released import transfer

    (tmp_path / "part").write_bytes(b"abc")
    state = {"url": "u", "size": 10, "validator": "v", "md5": None}

    def read(path):
        version = transfer._read_state(tmp_path / "part", "u")
        assert version is None or (version.size > -5 and version.validator + "")

    check(tmp_path / "part.json", variants_of(state), read)


def test_damaged_addresses_of_processes(monkeypatch):
    from bert_tf.settings.devices import DeviceSettings
    from bert_tf.training.cluster import find_cluster

    task = {"type": "worker", "index": 0}
    content = {"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": task}
    errors = []
    for _, text in damaged_json(content):
        monkeypatch.setenv("TF_CONFIG", text.decode()[:100_000])
        try:
            find_cluster(DeviceSettings())
        except ValueError as error:
            errors.append(str(error))
    assert errors
    assert all(error.startswith("TF_CONFIG cannot be used") for error in errors)


@pytest.fixture(scope="module")
def models(tmp_path_factory, golden_dir):
    """A folder with a model in each format."""
    import torch
    from random_models import make_model
    from small_release import write_zip

    from bert_tf.formats import google, huggingface
    from bert_tf.formats.huggingface_tensors import read_tensors
    from bert_tf.released.model_folder import description_of, write_description

    folder, model = tmp_path_factory.mktemp("models"), make_model("classification")
    for name, module in (("google", google), ("huggingface", huggingface)):
        module.write(model, str(folder / name))
    write_description(str(folder / "google"), description_of(model))
    tensors = read_tensors(str(folder / "huggingface/model.safetensors"))
    tensors = {name: torch.from_numpy(value) for name, value in tensors.items()}
    shutil.copytree(folder / "huggingface", folder / "pytorch")
    (folder / "pytorch/model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch/pytorch_model.bin")
    vocab = (folder / "pytorch/vocab.txt").read_text().split()
    (folder / "pytorch/vocab.txt").unlink()
    tokenizer = {
        "model": {"vocab": {token: number for number, token in enumerate(vocab)}},
        "normalizer": {"lowercase": False},
        "added_tokens": [{"id": 0, "content": "[PAD]"}],
    }
    (folder / "pytorch/tokenizer.json").write_text(json.dumps(tokenizer))
    shutil.copytree(golden_dir / "keras_hub/classifier", folder / "keras_hub")
    shutil.copytree(golden_dir / "tensorflow_models/classifier", folder / "tensorflow_models")
    shutil.copy(golden_dir / "keras_hub/masked_lm.keras", folder / "model.keras")
    write_zip(folder / "model.zip", folder / "google")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        *("google/bert_model.ckpt.index", "google/bert_model.ckpt.data-00000-of-00001"),
        *("google/checkpoint", "google/vocab.txt", "huggingface/tokenizer_config.json"),
        *("huggingface/config.json", "huggingface/model.safetensors"),
        *("pytorch/pytorch_model.bin", "pytorch/tokenizer.json"),
        *("keras_hub/model.weights.h5", "keras_hub/task.weights.h5", "model.keras", "model.zip"),
        *("tensorflow_models/bert_model.ckpt.index",),
    ],
)
def test_damaged_models(tmp_path, models, name, monkeypatch):
    from bert_tf.formats.source import read_pretrained
    from bert_tf.released.find_model import find_model

    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    shutil.copytree(models, folder)
    path = folder / name
    content = path.read_bytes() if path.exists() else b'model_checkpoint_path: "bert_model.ckpt"'
    given = str(path if path.parent == folder else path.parent)
    read = find_model if name.endswith(".zip") else read_pretrained
    if name.endswith(".json"):  # Config and vocabulary are read before the weights.
        content = json.loads(content)
        if "vocab" in content.get("model", {}):
            content["model"]["vocab"] = dict(list(content["model"]["vocab"].items())[:6])
        shutil.copy(models / "huggingface/vocab.txt", folder / "huggingface")
        (path.parent / "model.safetensors").write_bytes(b"")
    check(path, variants_of(content), lambda _: read(given))


@pytest.mark.parametrize("name", ["google", "pytorch"])
def test_altered_weights_are_not_read_in_silence(tmp_path, models, name):
    from bert_tf.formats.source import read_pretrained

    folder = tmp_path / name
    shutil.copytree(models / name, folder)
    (path,) = [*folder.glob("*.bin"), *folder.glob("*.data-*")]
    value = read_pretrained(str(folder)).weights["bert/pooler/dense/kernel"].T
    content = path.read_bytes()
    place = max(content.find(each.tobytes()) for each in (value, value.T.copy()))
    assert place > 0
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(ValueError, match=f"^{folder}.*(checksum|Checksum)"):
        read_pretrained(str(folder))


def test_a_config_of_other_sizes_takes_no_memory(tmp_path, models):
    from bert_tf.inference.load_model import load_model

    folder = tmp_path / "google"
    shutil.copytree(models / "google", folder)
    config = json.loads((folder / "bert_config.json").read_text())
    for size in (10**9, 10**30):
        changed = json.dumps(config | {"intermediate_size": size})
        (folder / "bert_config.json").write_text(changed)
        with pytest.raises(ValueError, match=rf"^{folder}/bert_config.json: .*{size}"):
            load_model(str(folder))
    changed = json.dumps(config | {"num_hidden_layers": 10**9})
    (folder / "bert_config.json").write_text(changed)
    with pytest.raises(ValueError, match="no computer holds"):
        load_model(str(folder))
