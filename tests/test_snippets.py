"""Every code block of the README and docs/ runs in a small setting, or its flags are parsed.

A page's blocks run in its order, in a folder of its own: Python in one namespace, commands as they
stand, but for sizes. Released models are stand-ins in that folder. What is not run has its reason
in one of the tables below.
"""

import contextlib
import importlib.metadata
import io
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from documented_commands import (
    SCRIPTS,
    Command,
    Snippet,
    commands_of,
    indented_commands,
    parse_all,
    run_all,
    snippets_of,
)
from documented_data import write_data
from small_configs import SUCCESSORS, small_config

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "vocab" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
# Pages whose commands run on every change; those of the others are slow tests.
QUICK_PAGES = (
    *("README", "first_model", "pretrain_tutorial", "resume", "evaluating"),
    *("out_of_memory", "migrating"),
)
# Commands of scripts that are not run -> why, by a part of them.
NOT_RUN_COMMANDS = {
    "...": "part of a command, the rest of which is not on its page",
    "--use_tpu": "needs a TPU",
    "--distribution_strategy=tpu": "needs a TPU",
    "--worker_hosts": "needs several hosts; tests/training has several processes",
    "--runner=beam": "needs Beam's environment, in which tests/pretraining_data runs it",
    "--source=tfds": "needs Wikipedia of tensorflow-datasets; tests/corpus has a stand-in",
    "download_checkpoint.py --model": "needs a network; tests/released has a server",
    "explore.py --model=tmp/mrpc_output": "serves until it is stopped; tests/explorer asks it",
    "benchmark.py": "measures for hours, and needs the other libraries; tests/test_benchmark.py",
    "recipes/compare_objectives.py": "trains for minutes; tests/pretraining has a smaller study",
    "--phases=phases.json": "has batches of 61,440; tests/pretraining has smaller ones",
}
# Names that pages use like variables -> what they are here.
VARIABLES = {
    "$MODEL": "bert_base_uncased",
    "$BERT/": "",
    "$TRAIN": "conll-2012/train.conll",
    "$DEV": "conll-2012/dev.conll",
    "--layers=-1,-2,-3,-4": "--layers=-1,-2",  # The stand-ins have two.
    "--from=my_model.h5": "--from=my_keras_model/my_model.h5",  # With its vocabulary beside it.
    # Phases.
    "seq128:900000": "seq16:10",
    "seq512:100000": "seq32:5",
    "seq128:": "seq16:",
    "seq512:": "seq32:",
    # Devices.
    "--num_gpus=2": "--num_virtual_devices=2",
    "--distribution_strategy=mirrored": "--num_virtual_devices=2",
}
# Files that pages show -> their names.
FILES = {"class TrecReader": "trec.py"}
# Released models that have stand-ins beside BERT-Base's.
CASED = ("bert_base_cased", "bert_base_multilingual_cased", "spanbert_base_cased")
SUCCESSORS_BY_NAME = {
    "albert_base_v2": SUCCESSORS["albert"],
    "distilbert_base_uncased": SUCCESSORS["distilbert"],
}
# Programs other than scripts -> why they are not run.
PROGRAMS = {
    "pip": "needs a network; the extras that it names are looked up",
    "python": "makes a virtual environment, or needs a GPU or a TPU",
    "source": "a virtual environment's",
    "bash": "a recipe, whose _dryrun.sh tests/pretraining runs, or a whole environment; it exists",
    "docker": "needs Docker",
    "curl": "needs a server; tests/serving has a stand-in",
    "tensorboard": "serves until it is stopped",
    "perl": "needs the official conlleval.pl",
    "ruff": "run on every change, by continuous integration",
    "unzip": "needs a downloaded file",
    "COMMAND": "stands for a command above it; Beam's runners need their clusters",
    "--bert_config_file=$BERT/bert_config.json": "flags that continue the command above it",
}
# Python blocks that do not run -> why, by a part of their text.
NOT_RUN = {
    "AutoTokenizer.from_pretrained": "needs a process of its own: tests/conversion has some",
    "import grpc": "needs a server; tests/serving has a stand-in",
}
# Python blocks that use what a command of their page makes, by a part of their text.
MADE_BY_COMMANDS = (
    *('Predictor("coref")', 'Predictor("/tmp/srl")', 'Predictor("/tmp/sts")'),
    *('Predictor("/tmp/quiz")', 'Predictor("/tmp/ner")', 'Predictor("/tmp/wic")'),
    *('open("output.jsonl")', 'np.load("output.npz")', 'np.load("sentences.npz")'),
    'TFRecordDataset("output.tfrecord")',
    *('check_graph("models/', 'tf.saved_model.load("models/'),
)
# Flags -> the most that they are in a small setting.
LIMITS = {
    "max_seq_length": 32,
    "max_predictions_per_seq": 5,
    "train_batch_size": 8,
    "gradient_accumulation_steps": 4,
    "num_train_steps": 30,
    "num_warmup_steps": 2,
    "num_train_epochs": 1,
    "num_shards": 2,
    "num_workers": 1,
    "dupe_factor": 1,
    "num_restarts": 2,
    "num_folds": 2,
    "num_layers": 1,
    "eval_steps": 15,
    "vocab_size": 300,
}
# Flags of several values, of which two are tried.
GRIDS = ("learning_rates", "train_batch_sizes")
# Scripts -> flags whose defaults are too large here.
SMALL = {
    "create_pretraining_data.py": ["max_seq_length", "max_predictions_per_seq"],
    "run_pretraining.py": [
        *("max_seq_length", "max_predictions_per_seq", "train_batch_size"),
        *("num_train_steps", "num_warmup_steps"),
    ],
    "run_classifier.py": ["max_seq_length", "train_batch_size", "num_train_epochs"],
}
# Scripts -> flags that save time; tests of their own run them without.
QUICK = {"export_saved_model.py": ["--novalidate"]}
# The same in Python: the stand-ins of other libraries' models have few positions.
SMALL_PYTHON = ("sequence_length=128", "sequence_length=8")
# Pages -> a file that their blocks should have made.
MADE = {
    "README": "reviews/task.json",
    "first_model": "exported/reviews/1/saved_model.pb",
    "pretrain_tutorial": "model/eval_results.txt",
    "resume": "model_resume/model.ckpt-30.index",
    "evaluating": "tmp/seeds/runs.tsv",
    "migrating": "rescued/bert_model.ckpt.index",
}
GOLDEN = REPOSITORY / "tests" / "golden"


def all_commands() -> list[Command]:
    return [command for page in PAGES for command in commands_on(page)]


def commands_on(page: Path) -> list[Command]:
    """A page's commands, in order; "..." stands for the flags of the last whole one of a script."""
    shell = [snippet for snippet in snippets_of(page) if snippet.language == "bash"]
    found = [command for snippet in shell for command in commands_of(snippet)]
    found = sorted([*found, *indented_commands(page)], key=line_of)
    whole: dict[str, Command] = {}
    for number, command in enumerate(found):
        if command.is_whole:
            whole[command.script] = command
        elif command.script in whole:
            words = (word for word in command.words[2:] if word != "...")
            found[number] = Command(command.place, (*whole[command.script].words, *words))
    return found


def line_of(block: Command | Snippet) -> int:
    return int(block.place.rpartition(":")[2])


def why_not_run(python: str) -> str | None:
    return next((reason for part, reason in NOT_RUN.items() if part in python), None)


def why_not_run_command(command: Command) -> str | None:
    if not command.script.endswith(".py"):
        return PROGRAMS.get(command.words[0], "not a script")
    text = " ".join([command.script, *command.words[2:]]).replace("/tmp/", "tmp/")
    if "--export" in text:
        return None
    return next((reason for part, reason in NOT_RUN_COMMANDS.items() if part in text), None)


def test_the_flags_of_every_command_are_the_script_s_own():
    commands = [each for each in all_commands() if each.script.endswith(".py")]
    commands = [each for each in commands if "/" not in each.script]  # Recipes have other flags.
    assert len(commands) > 100
    wrong = {c.place: text for c, text in zip(commands, parse_all(commands), strict=True) if text}
    assert wrong == {}


def test_a_flag_that_a_script_does_not_have_and_a_value_that_it_cannot_take_are_found():
    calls = ["fill_mask.py --top=3", "fill_mask.py --top_k=three", "fill_mask.py --top_k=3"]
    commands = [Command("here", ("python", *f"run_scripts/{call}".split())) for call in calls]
    unknown, impossible, right = parse_all(commands)
    assert "--top" in unknown
    assert "three" in impossible
    assert right == ""


def test_every_other_command_has_a_reason_not_to_run_and_names_what_exists():
    extras = importlib.metadata.metadata("bert-tf").get_all("Provides-Extra")
    for command in all_commands():
        if command.script:
            assert (SCRIPTS / command.script).exists(), command
            continue
        assert command.words[0] in PROGRAMS, command
        named = re.findall(r"\.\[([\w,]+)\]", " ".join(command.words))
        assert {extra for part in named for extra in part.split(",")} <= {*extras}, command


def test_no_reason_is_left_over():
    python = [s.text for page in PAGES for s in snippets_of(page) if s.language == "python"]
    assert [part for part in NOT_RUN if not any(part in text for text in python)] == []
    programs = {command.words[0] for command in all_commands()}
    assert {*PROGRAMS} - programs == set()
    texts = [" ".join([each.script, *each.words[2:]]) for each in all_commands()]
    texts = [text.replace("/tmp/", "tmp/") for text in texts]
    assert [part for part in NOT_RUN_COMMANDS if not any(part in text for text in texts)] == []


def small(command: Command) -> list[str]:
    """A command's arguments with smaller sizes, and /tmp as a folder of the page."""
    arguments = [word.replace("=/tmp/", "=tmp/") for word in command.arguments]
    for name, value in VARIABLES.items():
        arguments = [word.replace(name, value) for word in arguments]
    for number, word in enumerate(arguments):
        name, _, value = word.removeprefix("--").partition("=")
        if name in LIMITS and "," not in value:
            least = min(float(value), LIMITS[name])
            arguments[number] = f"--{name}={least:.15g}"
        elif name in GRIDS:
            arguments[number] = f"--{name}={','.join(value.split(',')[:2])}"
    given = {word.removeprefix("--").partition("=")[0] for word in arguments}
    added = [name for name in SMALL.get(command.script, ()) if name not in given]
    if "--packing=electra" in arguments:  # Nothing is masked.
        added.remove("max_predictions_per_seq")
    if "phases" in given:  # They have lengths and steps of their own.
        added = [name for name in added if name == "train_batch_size"]
    added = [f"--{name}={LIMITS[name]}" for name in added]
    return arguments + added + QUICK.get(command.script, [])


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, reviews) -> Path:
    """What pages name: a small model, texts, records, data sets, models of other libraries."""
    import bert_tf
    from bert_tf.pretraining_data.program import create_pretraining_data
    from bert_tf.settings import PretrainingDataSettings

    folder = tmp_path_factory.mktemp("documentation")
    vocab = (REPOSITORY / "vocab" / "english_uncased_2000.txt").read_text().splitlines()[:1200]
    vocab += [f"[unused{number}]" for number in range(10)]  # For words of a domain.
    (folder / "source.txt").write_text("\n".join(vocab) + "\n")
    config = small_config(
        len(vocab),
        hidden_size=16,
        num_hidden_layers=2,
        intermediate_size=32,
        max_position_embeddings=512,
    )
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    tokenizer = bert_tf.FullTokenizer(str(folder / "source.txt"))
    model.save_to_preset(str(folder / "bert_base_uncased"), tokenizer)
    shutil.copy(folder / "source.txt", folder / "vocab.txt")
    (folder / "bert_config.json").write_text(config.to_json_string())
    bert_tf.save_checkpoint(model, str(folder / "bert_model.ckpt"))
    text = (REPOSITORY / "docs" / "differences.md").read_text(encoding="utf-8")
    write_data(folder, text)
    shutil.copytree(reviews, folder / "glue" / "SST-2")
    write_stand_ins(folder, tokenizer)
    write_foreign_models(folder)
    lengths = dict.fromkeys(("records", "held_out_records", "held_out"), 32)
    lengths |= {"records_128": 16, "records_512": 32, "held_out_128": 16, "held_out_512": 32}
    lengths["held_out_spans"] = 32
    for name, length in lengths.items():
        settings = PretrainingDataSettings(
            input_file=(str(folder / "sample_text.txt"),),
            output_dir=str(folder / name),
            vocab_file=str(folder / "vocab.txt"),
            max_seq_length=length,
            max_predictions_per_seq=5,
            dupe_factor=1,
            do_span_mask=name == "held_out_spans",
            next_sentence=name != "held_out_spans",
        )
        create_pretraining_data(settings, io.StringIO())
    return folder


def write_stand_ins(folder: Path, tokenizer) -> None:
    """Small models under the names of released and trained ones."""
    import bert_tf
    from bert_tf.model.encoders import make_encoder

    base = bert_tf.PretrainingModel.from_preset(str(folder / "bert_base_uncased"))
    for name in CASED:
        cased = bert_tf.FullTokenizer(str(folder / "source.txt"), do_lower_case=False)
        base.save_to_preset(str(folder / name), cased)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "max_position_embeddings": 512}
    for name, successor in {"bert_mini_uncased": {}, **SUCCESSORS_BY_NAME}.items():
        config = small_config(tokenizer.vocab_size, **size, **successor)
        make_encoder(config).save_to_preset(str(folder / name), tokenizer)
    write_successors(folder, tokenizer, size)
    config = small_config(tokenizer.vocab_size, **size)
    model = bert_tf.ClassificationModel(bert_tf.BertEncoder(config), num_labels=2)
    for name in ("tmp/mrpc_output", "output/mrpc"):
        model.save_to_preset(str(folder / name), tokenizer, ["0", "1"], ("text_a", "text_b"))
    spans = bert_tf.SpanModel(bert_tf.BertEncoder(config))
    spans.save_to_preset(str(folder / "tmp" / "squad_base"), tokenizer)
    shutil.copytree(folder / "bert_base_uncased", folder / "quickstart_output" / "model")
    (folder / "output" / "pretraining").mkdir()
    for name in ("bert_config.json", "vocab.txt"):
        shutil.copy(folder / name, folder / "output" / "pretraining")
    for step in range(1, 6):
        bert_tf.save_checkpoint(base, str(folder / "output" / "pretraining" / f"model.ckpt-{step}"))
    (folder / "vocab").mkdir()


def write_successors(folder: Path, tokenizer, size: dict) -> None:
    """Those whose pre-training docs/family.md shows, with the files that its commands name."""
    import bert_tf
    from bert_tf.model.encoders import make_encoder
    from bert_tf.model.replaced_tokens import ReplacedTokensModel

    generator = {"generator_hidden_size": 0.5, "generator_layers": 1.0}
    electra = small_config(tokenizer.vocab_size, **size, **SUCCESSORS["electra"], **generator)
    (folder / "electra_small.json").write_text(electra.to_json_string())
    shutil.copytree(folder / "bert_base_uncased", folder / "electra_small")
    shutil.copy(folder / "electra_small.json", folder / "electra_small" / "bert_config.json")
    both = ReplacedTokensModel(bert_tf.ElectraEncoder(electra))
    bert_tf.save_checkpoint(both, str(folder / "electra_small" / "bert_model.ckpt"))
    shutil.copy(GOLDEN / "family" / "albert" / "albert_config.json", folder)
    shutil.copy(GOLDEN / "family" / "albert" / "spm.model", folder / "30k-clean.model")
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(GOLDEN / "family" / "roberta" / name, folder / name)
    bpe = bert_tf.ByteBpeTokenizer(str(folder / "vocab.json"))
    roberta = small_config(bpe.vocab_size, **size, **SUCCESSORS["roberta"])
    model = bert_tf.PretrainingModel(make_encoder(roberta))
    model.save_to_preset(str(folder / "roberta_base"), bpe)
    classifier = bert_tf.ClassificationModel(make_encoder(roberta), num_labels=2)
    classifier.save_to_preset(str(folder / "roberta_output"), bpe, ["0", "1"])


def write_foreign_models(folder: Path) -> None:
    """Models that other libraries wrote, under the names that docs/migrating.md gives them."""
    shutil.copytree(GOLDEN / "tensorflow_models" / "encoder", folder / "tf_models" / "uncased")
    shutil.copytree(GOLDEN / "keras_hub" / "classifier", folder / "keras_hub_classifier")
    transformers = GOLDEN / "transformers_tensorflow"
    for name in ("my_tf_bert", "bert-base-uncased"):  # The second stands for the Hub's.
        shutil.copytree(transformers / "pretraining", folder / name)
    (folder / "my_keras_model").mkdir()
    shutil.copy(transformers / "keras_pooled.h5", folder / "my_keras_model" / "my_model.h5")
    for name in ("my_tf_bert", "bert-base-uncased", "my_keras_model"):
        words = (folder / "vocab.txt").read_text().splitlines()
        (folder / name / "vocab.txt").write_text("\n".join(words[:TRANSFORMERS_WORDS]) + "\n")
        # Of so few words, none tells the case.
        (folder / name / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    with tarfile.open(GOLDEN / "tf_hub" / "tf2_encoder.tar.gz") as archive:
        archive.extractall(folder / "hub", filter="data")
    (module,) = {path.parent for path in (folder / "hub").rglob("saved_model.pb")}
    shutil.copytree(module, folder / "bert_en_uncased_hub")


TRANSFORMERS_WORDS = json.loads(
    (GOLDEN / "transformers_tensorflow" / "pretraining" / "config.json").read_text()
)["vocab_size"]


def blocks_to_run(page: Path) -> list:
    """The page's blocks that run; of shell, scripts only."""
    python = [snippet for snippet in snippets_of(page) if snippet.language == "python"]
    blocks = [snippet for snippet in python if not why_not_run(snippet.text)]
    blocks += [command for command in commands_on(page) if why_not_run_command(command) is None]
    return sorted(blocks, key=line_of)


def quick_blocks(page: Path) -> list:
    """Those that run on every change: all, or without commands and what they make."""
    blocks = blocks_to_run(page)
    if page.stem in QUICK_PAGES:
        return blocks
    python = [block for block in blocks if isinstance(block, Snippet)]
    return [each for each in python if not any(part in each.text for part in MADE_BY_COMMANDS)]


def pages_to_run() -> list:
    """Parameters: a page's blocks on every change and, if these are not all, all as a slow test."""
    parameters = []
    for page in PAGES:
        quick, blocks = quick_blocks(page), blocks_to_run(page)
        if quick:
            parameters.append(pytest.param(page, quick, id=page.stem))
        if len(blocks) > len(quick):
            slow = pytest.mark.slow
            parameters.append(pytest.param(page, blocks, id=f"{page.stem}-all", marks=slow))
    return parameters


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed", "ignore:Layer .*quantize")
@pytest.mark.parametrize(("page", "blocks"), pages_to_run())
def test_the_blocks_of_a_page_run_in_its_order(page, blocks, model_folder, tmp_path, monkeypatch):
    shutil.copytree(model_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))
    names: dict = {}
    blocks = list(blocks)
    for block in [block for block in blocks if isinstance(block, Snippet)]:
        for part, name in FILES.items():
            if part in block.text:
                Path(name).write_text(block.text)
    remove_outputs([block for block in blocks if isinstance(block, Command)])
    while blocks:
        commands = []
        while blocks and isinstance(blocks[0], Command):
            if page.stem not in QUICK_PAGES and writes_anew(blocks[0]):
                if commands:
                    break
                remove_outputs(blocks[:1])  # Alternatives of a page share a folder.
            command = blocks.pop(0)
            commands.append((command.script, small(command), tmp_path))
        for command, (code, output) in zip(commands, run_all(commands), strict=False):
            assert not code, (command, output[-3000:])
        if blocks and isinstance(blocks[0], Snippet):
            snippet = blocks.pop(0)
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(small_python(snippet.text), snippet.place, "exec"), names)
    assert page.parent.name == "vocab" or (tmp_path / MADE.get(page.stem, ".")).exists()


def writes_anew(command: Command) -> bool:
    """Whether a command trains, or makes records or text."""
    makers = ("create_pretraining_data.py", "prepare_corpus.py")
    return "--do_train" in command.words or command.script in makers


def small_python(text: str) -> str:
    return text.replace(*SMALL_PYTHON).replace('"/tmp/', '"tmp/')


def remove_outputs(commands: list[Command]) -> None:
    """Removes what a page's commands make, where the folder has it for other pages."""
    for command in commands:
        for word in small(command):
            name, _, value = word.partition("=")
            if name == "--output_dir":
                shutil.rmtree(value, ignore_errors=True)
            elif name == "--output_file":
                Path(value).unlink(missing_ok=True)
