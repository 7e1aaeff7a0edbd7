"""Reads and writes the tokenizer's files beside a model's weights.

vocab.txt               one token a line
spiece.model            a SentencePiece model instead; 30k-clean.model and spm.model are read, too
vocab.json, merges.txt  byte-level BPE instead, or tokenizer.json, which is written
tokenizer.json          Hugging Face: the vocabulary as a dict, the normalizer, and more
added_tokens.json       Hugging Face: tokens added to the vocabulary, with their ids
tokenizer_config.json   Hugging Face: `do_lower_case`, `strip_accents` (null: as `do_lower_case`),
                        `tokenize_chinese_chars`, which is always true for BERT
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bert_tf import files
from bert_tf.config import check_form, read_json, write_json
from bert_tf.formats.source import TokenizerFiles, find_beside
from bert_tf.text.byte_bpe import ByteBpeTokenizer
from bert_tf.text.sentencepiece_model import read_pieces
from bert_tf.text.tokenization import BasicTokenizer
from bert_tf.text.vocabulary import SPECIAL_TOKENS, case_of_release, load_vocab

VOCAB_NAME = "vocab.txt"
PIECES_NAME = "spiece.model"
BYTE_BPE_NAMES = ("vocab.json", "merges.txt")
# As found beside models: SentencePiece models, and the vocabulary of Chinese ALBERTs.
_VOCABULARIES = (VOCAB_NAME, PIECES_NAME, "30k-clean.model", "spm.model", "vocab_chinese.txt")
_TOKENIZER_NAME = "tokenizer.json"
_UNIGRAM = "Unigram"  # What tokenizer.json calls SentencePiece's division.
_CONFIG_NAME = "tokenizer_config.json"
_ADDED_NAME = "added_tokens.json"
MAP_NAME = "special_tokens_map.json"
# Of tokenizer.json, as far as it is read.
_TOKENIZER_FORM = {"model": dict | None, "normalizer": dict | None, "added_tokens": list | None}
_ADDED_FORM = [{"content": str, "id": int}]

# special_tokens_map.json, which transformers 4 reads.
SPECIAL_TOKENS_MAP = {
    f"{name}_token": f"[{name.upper()}]" for name in ("cls", "mask", "pad", "sep", "unk")
}
# Hugging Face's classes that split text like BERT's tokenizer.
_CLASSES = ("BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend")
_SPLIT, _CHINESE = "punctuation splits text", "each Chinese character is a word"
# File, place in it, BERT's values (null and nothing mean the same), BERT's way.
_AS_IN_BERT = (
    (_CONFIG_NAME, "tokenizer_class", _CLASSES, _SPLIT),
    (_CONFIG_NAME, "do_basic_tokenize", (True,), _SPLIT),
    (_CONFIG_NAME, "never_split", ([],), _SPLIT),
    (_CONFIG_NAME, "tokenize_chinese_chars", (True,), _CHINESE),
    (_CONFIG_NAME, "truncation_side", ("right",), "the end of a long text is cut off"),
    (_CONFIG_NAME, "padding_side", ("right",), "padding follows the text"),
    (_TOKENIZER_NAME, "normalizer.type", ("BertNormalizer",), "text is normalized"),
    (_TOKENIZER_NAME, "normalizer.clean_text", (True,), "control characters are dropped"),
    (_TOKENIZER_NAME, "normalizer.handle_chinese_chars", (True,), _CHINESE),
    (_TOKENIZER_NAME, "pre_tokenizer.type", ("BertPreTokenizer",), _SPLIT),
    (_TOKENIZER_NAME, "model.type", ("WordPiece",), "words are split by WordPiece"),
    (_TOKENIZER_NAME, "model.continuing_subword_prefix", ("##",), "pieces within words have ##"),
    (
        *(_TOKENIZER_NAME, "post_processor.type", ("TemplateProcessing", "BertProcessing")),
        "[CLS] and [SEP] surround a text",
    ),
)


# The same for byte-level BPE.
_AS_IN_ROBERTA = (
    (_CONFIG_NAME, "add_prefix_space", (False,)),
    (_TOKENIZER_NAME, "normalizer.type", ()),
    (_TOKENIZER_NAME, "pre_tokenizer.type", ("ByteLevel",)),
    (_TOKENIZER_NAME, "pre_tokenizer.add_prefix_space", (False,)),
    (_TOKENIZER_NAME, "post_processor.type", ("RobertaProcessing",)),
)


def find_vocabulary(folder: str) -> str | None:
    """Returns the path of a folder's vocabulary, SentencePiece model or byte-level BPE, or None."""
    if path := find_beside(folder, *_VOCABULARIES):
        return path
    if find_beside(folder, BYTE_BPE_NAMES[1]):
        return find_beside(folder, BYTE_BPE_NAMES[0])
    content = _read_object(folder, _TOKENIZER_NAME, _TOKENIZER_FORM)
    is_byte_bpe = _at(content, "model.type") == "BPE"
    return files.join_path(folder, _TOKENIZER_NAME) if is_byte_bpe else None


def is_sentencepiece(path: str) -> bool:
    """Returns whether a vocabulary's file is a SentencePiece model, by its name."""
    return path.endswith(".model")


def is_byte_bpe(path: str) -> bool:
    """Returns whether a vocabulary's file is one of byte-level BPE, by its name."""
    return path.endswith(".json")


def read_vocabulary(path: str) -> list[str]:
    """Returns the tokens of a vocabulary or SentencePiece model in the order of their ids."""
    if is_byte_bpe(path):
        return list(ByteBpeTokenizer(path).vocab)
    if is_sentencepiece(path):
        return read_pieces(path, files.read_bytes(path))
    return list(load_vocab(path))


def read_tokenizer(folder: str) -> tuple[TokenizerFiles, dict[str, str]]:
    """Returns a folder's tokenizer, and its settings unlike BERT's with the reasons.

    Raises a ValueError if a file is damaged, ids have gaps, or special tokens are missing.
    """
    path = find_vocabulary(folder)
    if path and is_sentencepiece(path):
        case = _case_of_pieces(folder)
        return TokenizerFiles(tuple(read_vocabulary(path)), case, None, files.read_bytes(path)), {}
    if path and is_byte_bpe(path):
        return _read_byte_bpe(folder, path)
    if _at(_read_object(folder, _TOKENIZER_NAME, _TOKENIZER_FORM), "model.type") == _UNIGRAM:
        return TokenizerFiles(None, _case_of_pieces(folder)), {
            f"{_TOKENIZER_NAME}: model.type {_UNIGRAM}": "the pieces are read from a SentencePiece "
            f"model: put the {PIECES_NAME} of the model that was trained further beside it"
        }
    contents = {name: _read_object(folder, name) for name in (_CONFIG_NAME, MAP_NAME)}
    content = _read_object(folder, _TOKENIZER_NAME, _TOKENIZER_FORM)
    contents[_TOKENIZER_NAME] = content
    known = read_tokenizer_config(folder)
    vocab, added = _read_vocab(folder, content)
    tokenizer = TokenizerFiles(
        vocab,
        known.get("do_lower_case", _at(content, "normalizer.lowercase")),
        known.get("strip_accents", _at(content, "normalizer.strip_accents")),
    )
    unlike = _unlike_bert(contents) | _split_tokens(added, tokenizer.do_lower_case)
    in_json = _at(content, "model.vocab")
    ids = {token: number for number, token in enumerate(vocab or ())}
    if ids and isinstance(in_json, dict) and any(ids.get(t) != n for t, n in in_json.items()):
        unlike[f"{_TOKENIZER_NAME}: model.vocab"] = f"it differs from {VOCAB_NAME}, which is read"
    return tokenizer, unlike


def _case_of_pieces(folder: str) -> bool | None:
    """Returns whether text is lower-cased before SentencePiece, as far as the files say."""
    known = read_tokenizer_config(folder).get("do_lower_case")
    content = _read_object(folder, _TOKENIZER_NAME, _TOKENIZER_FORM)
    steps = _at(content, "normalizer.normalizers")
    if known is not None or not isinstance(steps, list):
        return known
    return any(_at(step, "type") == "Lowercase" for step in steps)


def read_tokenizer_config(folder: str) -> dict[str, bool]:
    """Returns any `do_lower_case` and `strip_accents` in tokenizer_config.json."""
    content = _read_object(folder, _CONFIG_NAME)
    known = {n: content[n] for n in ("do_lower_case", "strip_accents") if n in content}
    for name, value in known.items():
        if not isinstance(value, bool | None):
            path = files.join_path(folder, _CONFIG_NAME)
            raise ValueError(f"{path}: {name} must be true or false. Received: {value!r}")
    return {name: value for name, value in known.items() if value is not None}


def case_of_folder(folder: str) -> bool | None:
    """Returns whether a released model lower-cases text, by its folder's name; or None."""
    resolved = folder.rstrip("/") if files.is_remote(folder) else str(Path(folder).resolve())
    return case_of_release(resolved.rpartition("/")[2])


def write_tokenizer(folder: str, tokenizer: TokenizerFiles, max_length: int) -> None:
    """Writes vocab.txt and tokenizer_config.json, if the vocabulary and the case are known."""
    if tokenizer.model is not None:
        name = _TOKENIZER_NAME if tokenizer.is_byte_bpe else PIECES_NAME
        with files.open_file(files.join_path(folder, name), "wb") as file:
            file.write(tokenizer.model)
    elif tokenizer.vocab is not None:
        with files.open_file(files.join_path(folder, VOCAB_NAME), "w") as file:
            file.write("\n".join(tokenizer.vocab) + "\n")
    if tokenizer.vocab is None and tokenizer.do_lower_case is None:
        return
    content: dict[str, Any] = {
        **SPECIAL_TOKENS_MAP,
        "model_max_length": max_length,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
    }
    if tokenizer.is_byte_bpe:
        named = {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False}
        content = {**special_tokens_map(tokenizer), "model_max_length": max_length, **named}
    elif tokenizer.model is not None:
        named = {"model_max_length": max_length, "tokenizer_class": "AlbertTokenizer"}
        content = {**special_tokens_map(tokenizer), **named}
    if tokenizer.do_lower_case is not None:
        content["do_lower_case"] = tokenizer.do_lower_case
    write_json(files.join_path(folder, _CONFIG_NAME), content, sort_keys=True)


def _read_byte_bpe(folder: str, path: str) -> tuple[TokenizerFiles, dict[str, str]]:
    tokenizer = ByteBpeTokenizer(path)
    contents = {
        _CONFIG_NAME: _read_object(folder, _CONFIG_NAME),
        _TOKENIZER_NAME: _read_object(folder, _TOKENIZER_NAME),
    }
    unlike = {
        f"{name}: {place} {value}": "texts are not changed before byte-level BPE here"
        for name, place, allowed in _AS_IN_ROBERTA
        if (value := _at(contents[name], place)) is not None and value not in allowed
    }
    return TokenizerFiles(tuple(tokenizer.vocab), False, None, tokenizer.model), unlike


def special_tokens_map(tokenizer: TokenizerFiles) -> dict[str, str]:
    """Returns the special tokens by transformers' names."""
    if tokenizer.model is not None and not tokenizer.is_byte_bpe:
        return {**SPECIAL_TOKENS_MAP, "pad_token": "<pad>", "unk_token": "<unk>"}
    if not tokenizer.is_byte_bpe:
        return SPECIAL_TOKENS_MAP
    ends = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    return {**ends, "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}


def _read_object(folder: str, name: str, form: Any = dict) -> dict[str, Any]:
    path = files.join_path(folder, name)
    return read_json(path, form) if files.exists(path) else {}


def _at(content: Any, place: str) -> Any:
    """Returns what a JSON object holds at a place such as `model.type`, or None."""
    for key in place.split("."):
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _unlike_bert(contents: Mapping[str, Any]) -> dict[str, str]:
    """Returns the settings in files, by name, that are unlike BERT's tokenizer, and the reasons."""
    unlike = {}
    for name, place, allowed, reason in _AS_IN_BERT:
        value = _at(contents[name], place)
        if value is not None and value not in allowed:
            unlike[f"{name}: {place} {value}"] = f"{reason} in BERT"
    for name in (_CONFIG_NAME, MAP_NAME):
        for key, token in SPECIAL_TOKENS_MAP.items():
            value = _at(contents[name], f"{key}.content") or contents[name].get(key) or token
            if value != token:
                unlike[f"{name}: {key} {value}"] = f"it is {token} in BERT"
    return unlike


def _split_tokens(added: Iterable[str], do_lower_case: bool | None) -> dict[str, str]:
    """Returns added tokens that a text cannot have here, as they are split before WordPiece."""
    split = BasicTokenizer(do_lower_case is not False).tokenize
    return {
        f"added token {token}": "added tokens in a text are split like other words here"
        for token in added
        if token not in SPECIAL_TOKENS and split(token) != [token]
    }


def _read_vocab(
    folder: str, content: Mapping[str, Any]
) -> tuple[tuple[str, ...] | None, dict[str, int]]:
    """Returns all tokens in the order of their ids, and the added ones.

    `content` is tokenizer.json's, which is used if there is no vocab.txt.
    """
    path = find_vocabulary(folder) or files.join_path(folder, VOCAB_NAME)
    added = _read_object(folder, _ADDED_NAME, {str: int})
    listed = content.get("added_tokens") or []
    check_form(files.join_path(folder, _TOKENIZER_NAME), listed, _ADDED_FORM, "added_tokens")
    added = {token["content"]: token["id"] for token in listed} | added
    if files.exists(path):
        ids = load_vocab(path)
    else:
        path = files.join_path(folder, _TOKENIZER_NAME)
        vocab = _at(content, "model.vocab")
        if not isinstance(vocab, dict):
            return None, added
        check_form(path, vocab, {str: int}, "model.vocab")
        ids = dict(vocab)
    conflicts = [token for token, number in added.items() if ids.get(token, number) != number]
    ids |= added
    tokens = tuple(sorted(ids, key=ids.__getitem__))
    if conflicts or [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError(
            f"{path}: the ids of its {len(ids)} tokens, with added ones, must be 0 to "
            f"{len(ids) - 1}, each once. Received: {sorted(ids.values())[:5]} ... "
            f"{max(ids.values())}{', two ids for ' + ', '.join(conflicts) if conflicts else ''}"
        )
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        raise ValueError(f"{path}: the vocabulary lacks {', '.join(missing)}.")
    return tokens, added
