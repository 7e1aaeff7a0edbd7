"""Reads and checks vocabulary files: one token per line, whose id is the line number from 0."""

import re
from collections.abc import Iterable, Mapping

from bert_tf.files import open_text_lines

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_CHECKPOINT_FOLDER = re.compile(r"^.*?([A-Za-z0-9_-]+)/bert_model.ckpt")
_UNCASED_RELEASES = re.compile(
    r"(wwm_)?uncased_L-.*|multilingual_L-.*|chinese_L-.*|albert_(base|large|x+large)(_(v\d|zh))?"
)
_CASED_RELEASES = re.compile(r"(wwm_|multi_)?cased_L-.*")

# Smaller vocabularies do not show whether they are cased.
_MIN_WORDS_TO_TELL_CASE = 1000
_SHARE_OF_A_CASED_VOCABULARY = 0.05


def load_vocab(vocab_file: str) -> dict[str, int]:
    """Reads a UTF-8 vocabulary as {token: id}, in the order of the ids.

    White space around tokens, as in the original, and a byte order mark are ignored. Raises a
    ValueError with file and line if a line is not UTF-8, a token occurs twice, one of
    `SPECIAL_TOKENS` is missing, or the file is empty.
    """
    vocab: dict[str, int] = {}
    lines = open_text_lines(vocab_file, wanted="vocabulary", as_original=True)
    for index, line in enumerate(lines):
        if "\r" in line:
            raise ValueError(
                f"{vocab_file}:{index + 1}: a carriage return within the line. If they end the "
                "lines, convert the file first: tr '\\r' '\\n' < FILE > NEW_FILE"
            )
        token = (line.removeprefix("\ufeff") if index == 0 else line).strip()
        if token in vocab:
            raise ValueError(
                f"{vocab_file}:{index + 1}: the token {token!r} stands in line {vocab[token] + 1} "
                "already. Replace the second one, for example by [unused0]."
            )
        vocab[token] = index
    if not vocab:
        raise ValueError(f"{vocab_file}:1: the vocabulary is empty; it must have a token a line.")
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise ValueError(
            f"{vocab_file}:{len(vocab)}: the vocabulary ends here without {', '.join(missing)}. "
            f"Each of {' '.join(SPECIAL_TOKENS)} must have a line of its own."
        )
    return vocab


def is_continuation(token: str) -> bool:
    """Returns whether a piece continues the word of the piece before it: `##ing`."""
    return token.startswith("##") and token != "##"


def convert_by_vocab(vocab: Mapping, items: Iterable) -> list:
    """Looks up every token's id, or every id's token; raises a KeyError for an unknown one."""
    return [vocab[item] for item in items]


convert_tokens_to_ids = convert_ids_to_tokens = convert_by_vocab


def case_of_release(name: str) -> bool | None:
    """Returns whether a released model lower-cases text, by its folder's name; None for others."""
    if _UNCASED_RELEASES.fullmatch(name):
        return True
    return False if _CASED_RELEASES.fullmatch(name) else None


def validate_case_matches_checkpoint(do_lower_case: bool, init_checkpoint: str | None) -> None:
    """Raises a ValueError for lower-casing that does not fit one of Google's released models.

    Only the name of the checkpoint's folder is checked, so a model with another name passes.

    Source: google-research/bert, tokenization.py, the same function; later models were added.
    """
    match = _CHECKPOINT_FOLDER.match(init_checkpoint or "")
    name = match[1] if match else ""
    if case_of_release(name) is (not do_lower_case):
        raise ValueError(
            f"--do_lower_case={do_lower_case} with --init_checkpoint={init_checkpoint}: {name} is "
            f"a{' cased' if do_lower_case else 'n uncased'} model. Pass "
            f"--do_lower_case={not do_lower_case}, or rename the folder if it is another model."
        )


def case_of_vocabulary(vocab: Iterable[str]) -> bool | None:
    """Returns whether a vocabulary is of lower-cased text; None if its words do not tell.

    They do if there are 1,000 or more in ASCII, of which none or more than 5 % have capitals.
    """
    words = [token.removeprefix("\u2581") for token in vocab]  # As SentencePiece begins words.
    words = [word for word in words if word[:1].isascii() and word[:1].isalpha()]
    num_cased = sum(word != word.lower() for word in words)
    if len(words) < _MIN_WORDS_TO_TELL_CASE:
        return None
    if num_cased > _SHARE_OF_A_CASED_VOCABULARY * len(words):
        return False
    return None if num_cased else True


def check_vocabulary(vocab: Iterable[str], vocab_file: str, do_lower_case: bool) -> None:
    """Raises a ValueError for lower-casing that the vocabulary's own words contradict."""
    if case_of_vocabulary(vocab) is (not do_lower_case):
        found, kind = ("many", "a cased") if do_lower_case else ("none", "an uncased")
        raise ValueError(
            f"{vocab_file}: {found} of its words have capital letters: the vocabulary of {kind} "
            f"model. Pass --do_lower_case={not do_lower_case}."
        )
