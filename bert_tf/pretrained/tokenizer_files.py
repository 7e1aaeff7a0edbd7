"""`tokenizer_config.json`: how text is normalized, beside a model's vocabulary.

It is Hugging Face's file. Three of its keys matter here: `do_lower_case`, `strip_accents` (null:
as lower-casing) and `tokenize_chinese_chars`, which BERT always does.
"""

import json
from typing import Any

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.pretrained.source import TokenizerFiles

TOKENIZER_CONFIG_NAME = "tokenizer_config.json"

_SPECIAL = {"cls": "[CLS]", "mask": "[MASK]", "pad": "[PAD]", "sep": "[SEP]", "unk": "[UNK]"}


def read_tokenizer_config(folder: str) -> dict[str, bool | None]:
    """`do_lower_case` and `strip_accents`, of those that the file says; {} without a file.

    Raises:
        ValueError: if it is damaged, or says that Chinese characters are not to be words.
    """
    path = files.join_path(folder, TOKENIZER_CONFIG_NAME)
    if not files.exists(path):
        return {}
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a JSON object is needed. Received: {content!r:.80}")
    if content.get("tokenize_chinese_chars") is False:
        raise ValueError(
            f"{path}: tokenize_chinese_chars is false; the tokenizer here always makes a word of "
            "each Chinese character, as the original does."
        )
    return {
        name: _flag(path, name, content[name])
        for name in ("do_lower_case", "strip_accents")
        if content.get(name) is not None
    }


def write_tokenizer_config(folder: str, tokenizer: TokenizerFiles) -> None:
    """Writes the file, with the special tokens that BERT has."""
    content: dict[str, Any] = {f"{name}_token": token for name, token in _SPECIAL.items()}
    content |= {
        "do_lower_case": tokenizer.do_lower_case,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
    }
    path = files.join_path(folder, TOKENIZER_CONFIG_NAME)
    with files.open_file(path, "w") as file:
        file.write(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _flag(path: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{path}: {name} must be true or false. Received: {value!r}")
    return value
