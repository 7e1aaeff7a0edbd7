"""The files that say how text becomes ids, beside a model's weights.

vocab.txt               the tokens, one a line
tokenizer.json          Hugging Face's one file: the vocabulary as a dict, the normalizer, and more
added_tokens.json       Hugging Face's: tokens that were added to the vocabulary, with their ids
tokenizer_config.json   Hugging Face's: `do_lower_case`, `strip_accents` (null: as lower-casing),
                        `tokenize_chinese_chars`, which BERT always does

What is written is vocab.txt and tokenizer_config.json, which transformers reads; the original's
programs read vocab.txt.
"""

import json
from collections.abc import Mapping
from typing import Any

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.formats.source import TokenizerFiles
from bert_tf.text.vocabulary import SPECIAL_TOKENS, load_vocab

VOCAB_NAME = "vocab.txt"
TOKENIZER_NAME = "tokenizer.json"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"
_ADDED_NAME = "added_tokens.json"

_SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "mask", "pad", "sep", "unk")}
# Classes whose text is split as here.
_CLASSES = ("BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend")


def read_tokenizer(folder: str, vocab_size: int) -> tuple[TokenizerFiles, dict[str, str]]:
    """What a folder's files say of the tokenizer.

    Args:
        folder: where they lie; none of them is needed.
        vocab_size: rows of the model's word embeddings.

    Returns: the vocabulary and the normalization, and what of theirs the tokenizer here does not
        do, each with the reason.

    Raises:
        ValueError: if a file is damaged, ids leave gaps, special tokens are missing, or there are
            more tokens than rows.
    """
    config = _read_object(folder, TOKENIZER_CONFIG_NAME)
    whole = _read_object(folder, TOKENIZER_NAME)
    normalizer = whole.get("normalizer") or {}
    dropped = _other_ways(config, whole, normalizer)
    known = {
        "do_lower_case": normalizer.get("lowercase"),
        "strip_accents": normalizer.get("strip_accents"),
        **read_tokenizer_config(folder),
    }
    path, vocab = _read_vocab(folder, whole)
    if vocab is not None and len(vocab) > vocab_size:
        raise ValueError(
            f"{path}: the vocabulary has {len(vocab)} tokens, the model's word embeddings have "
            f"{vocab_size} rows. Is it another model's vocabulary?"
        )
    return TokenizerFiles(vocab, known["do_lower_case"], known["strip_accents"]), dropped


def read_tokenizer_config(folder: str) -> dict[str, bool]:
    """`do_lower_case` and `strip_accents` of tokenizer_config.json, where it says them.

    Raises:
        ValueError: if it is damaged.
    """
    known = {}
    content = _read_object(folder, TOKENIZER_CONFIG_NAME)
    for name in ("do_lower_case", "strip_accents"):
        value = content.get(name)
        if not isinstance(value, (bool, type(None))):
            path = files.join_path(folder, TOKENIZER_CONFIG_NAME)
            raise ValueError(f"{path}: {name} must be true or false. Received: {value!r}")
        if value is not None:
            known[name] = value
    return known


def write_tokenizer(folder: str, tokenizer: TokenizerFiles, max_length: int) -> None:
    """Writes vocab.txt, and tokenizer_config.json, which names the case only if it is known.

    Nothing is written of a model whose vocabulary and case are not known.
    """
    if tokenizer.vocab is not None:
        with files.open_file(files.join_path(folder, VOCAB_NAME), "w") as file:
            file.write("\n".join(tokenizer.vocab) + "\n")
    if tokenizer.vocab is None and tokenizer.do_lower_case is None:
        return
    content: dict[str, Any] = {
        **_SPECIAL,
        "model_max_length": max_length,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
    }
    if tokenizer.do_lower_case is not None:
        content["do_lower_case"] = tokenizer.do_lower_case
    with files.open_file(files.join_path(folder, TOKENIZER_CONFIG_NAME), "w") as file:
        file.write(json.dumps(content, indent=2, sort_keys=True) + "\n")


def special_tokens_map() -> str:
    """The content of special_tokens_map.json, which transformers 4 reads."""
    return json.dumps(_SPECIAL, indent=2, sort_keys=True) + "\n"


def _read_object(folder: str, name: str) -> dict[str, Any]:
    path = files.join_path(folder, name)
    content = read_json(path) if files.exists(path) else {}
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a JSON object is needed. Received: {content!r:.80}")
    return content


def _other_ways(config: Mapping, whole: Mapping, normalizer: Mapping) -> dict[str, str]:
    """What the tokenizer here does not do as these files say."""
    other = {}
    tokenizer_class = config.get("tokenizer_class") or _CLASSES[0]
    if tokenizer_class not in _CLASSES:
        other[f"{TOKENIZER_CONFIG_NAME}: tokenizer_class {tokenizer_class}"] = (
            "it splits text in another way than BERT's tokenizer"
        )
    chinese = (
        config.get("tokenize_chinese_chars", True),
        normalizer.get("handle_chinese_chars", True),
    )
    if False in chinese:
        other["tokenize_chinese_chars false"] = "here each Chinese character is a word, as in BERT"
    kind = normalizer.get("type", "BertNormalizer")
    if whole and kind != "BertNormalizer":
        other[f"{TOKENIZER_NAME}: normalizer {kind}"] = "text is normalized as BERT's is"
    model = whole.get("model", {}).get("type", "WordPiece")
    if model != "WordPiece":
        other[f"{TOKENIZER_NAME}: model {model}"] = "words are split by WordPiece"
    return other


def _read_vocab(folder: str, whole: Mapping) -> tuple[str, tuple[str, ...] | None]:
    """The file, and its tokens in the order of their ids, added ones included."""
    path = files.join_path(folder, VOCAB_NAME)
    added = _read_object(folder, _ADDED_NAME)
    if files.exists(path):
        ids = load_vocab(path)
    else:
        path = files.join_path(folder, TOKENIZER_NAME)
        vocab = whole.get("model", {}).get("vocab")
        if not isinstance(vocab, dict):
            return path, None
        added = {token["content"]: token["id"] for token in whole.get("added_tokens", [])} | added
        ids = dict(vocab)
    wrong = [token for token, number in added.items() if ids.get(token, number) != number]
    ids |= added
    tokens = tuple(sorted(ids, key=ids.__getitem__))
    if wrong or [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError(
            f"{path}: the ids of its {len(ids)} tokens, those that were added included, must be 0 "
            f"to {len(ids) - 1}, each once. Received: {sorted(ids.values())[:5]} ... "
            f"{max(ids.values())}{', two ids for ' + ', '.join(wrong) if wrong else ''}"
        )
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        raise ValueError(f"{path}: the vocabulary lacks {', '.join(missing)}.")
    return path, tokens
