"""Writes what a pre-trained model needs beside its weights: vocabulary, case of the text, README.

The vocabulary is --vocab_file, or the one that the manifest of the records names.
"""

import logging
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig, write_json
from bert_tf.data.manifest import described_files
from bert_tf.settings import PretrainingSettings
from bert_tf.text.tokenizer import load_tokenizer
from bert_tf.text.vocabulary import load_vocab
from bert_tf.training.model_card import describe_run, write_model_card

logger = logging.getLogger(__name__)

_TOKENIZER_NAME = "tokenizer_config.json"


def check_vocabulary(settings: PretrainingSettings, config: BertConfig) -> None:
    """Raises a ValueError if --vocab_file has more rows than the model, or is not the records'."""
    if not settings.vocab_file:
        return  # The ids of the records are checked in any case.
    is_text = not settings.vocab_file.endswith((".model", ".json"))
    num_rows = files.read_bytes(settings.vocab_file).count(b"\n") if is_text else 0
    if num_rows > config.vocab_size:
        raise ValueError(
            f"--vocab_file={settings.vocab_file} has {num_rows:,} rows, but vocab_size in "
            f"{settings.bert_config_file} is {config.vocab_size:,}."
        )
    _check_rows(settings)


def _check_rows(settings: PretrainingSettings) -> None:
    """Raises a ValueError if a token's id is that of another token in the records.

    Rows that only one of the vocabularies uses make no difference. The records' is compared if it
    is still where their manifest says.
    """
    of_records = _vocabulary_of(_manifest_of(settings))
    if not of_records:
        return
    ours, theirs = (load_tokenizer(path, False).vocab for path in (settings.vocab_file, of_records))
    for row, pair in enumerate(zip(ours, theirs, strict=False)):
        if pair[0] != pair[1] and not any(token.startswith("[unused") for token in pair):
            raise ValueError(
                f"--vocab_file={settings.vocab_file} is not the vocabulary that the records were "
                f"made with, {of_records}: row {row} is {pair[0]!r} instead of {pair[1]!r}. Make "
                "the records with the model's vocabulary."
            )


def find_vocabulary(settings: PretrainingSettings) -> str | None:
    """Returns the path of the records' vocabulary, as far as it is known."""
    return settings.vocab_file or _vocabulary_of(_manifest_of(settings))


def write_tokenizer_files(settings: PretrainingSettings) -> None:
    """Writes vocab.txt and tokenizer_config.json, as far as they are known."""
    vocab_file = find_vocabulary(settings)
    do_lower_case = _manifest_of(settings).get("settings", {}).get("do_lower_case")
    copy = files.join_path(settings.output_dir, files.vocabulary_name(vocab_file or ""))
    if vocab_file:
        files.copy_vocabulary(vocab_file, settings.output_dir)
    elif not files.exists(copy):
        logger.warning(
            "%s gets no vocab.txt, which the model needs for text: nothing tells which vocabulary "
            "the records were made with. Give it as --vocab_file.",
            settings.output_dir,
        )
    if isinstance(do_lower_case, bool):
        path = files.join_path(settings.output_dir, _TOKENIZER_NAME)
        kinds = {".model": "Albert", ".json": "Roberta"}
        kind = next((kind for end, kind in kinds.items() if copy.endswith(end)), "Bert")
        content = {"do_lower_case": do_lower_case, "tokenizer_class": f"{kind}Tokenizer"}
        write_json(path, content, sort_keys=True)


def vocabulary_ids(settings: PretrainingSettings) -> dict[str, int]:
    """Returns the ids of the tokens of the records' vocabulary.

    Raises a ValueError if nothing tells which it is.
    """
    vocab_file = find_vocabulary(settings)
    if not vocab_file:
        raise ValueError(
            f"--objective={settings.objective} needs the vocabulary of the records, and nothing "
            "tells which it is. Give it as --vocab_file."
        )
    return load_vocab(vocab_file)


def write_card(
    settings: PretrainingSettings, config: BertConfig, num_examples: int, step: int
) -> None:
    """Writes the model's README.md, with the metrics of its evaluation."""
    made = [f"Objective: {settings.objective}.", *describe_run(settings, num_examples, step)]
    do_lower_case = _manifest_of(settings).get("settings", {}).get("do_lower_case")
    write_model_card(settings.output_dir, config, made, do_lower_case)


def _manifest_of(settings: PretrainingSettings) -> dict[str, Any]:
    """Returns the entry of the first training file in the manifest beside it, or {}."""
    (_, first), *_ = settings.by_phase()
    folder, name = files.split_path(files.expand_input_files(first.input_file)[0])
    return described_files(folder).get(name, ({}, {}))[0]


def _vocabulary_of(run: dict[str, Any]) -> str | None:
    """Returns the vocabulary's file if it is still there and the same."""
    path = run.get("settings", {}).get("vocab_file")
    if not path or not files.exists(path) or files.is_directory(path):
        return None
    is_same = files.file_digest(path) == run.get("vocabulary", {}).get("sha256")
    return path if is_same else None
