"""Vocabulary files: one token a line, its id is the line's number counted from 0."""

import re
from collections.abc import Iterable, Mapping

from bert_tf.files.paths import open_text_lines

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_CHECKPOINT_FOLDER = re.compile(r"^.*?([A-Za-z0-9_-]+)/bert_model.ckpt")
_UNCASED_RELEASES = re.compile(r"(wwm_)?uncased_L-.*|multilingual_L-.*|chinese_L-.*")
_CASED_RELEASES = re.compile(r"(wwm_)?cased_L-.*|multi_cased_L-.*")

# From how many words on a vocabulary tells whether it is cased, and by what share of them.
_MIN_WORDS_TO_TELL_CASE = 1000
_SHARE_OF_A_CASED_VOCABULARY = 0.05


def load_vocab(vocab_file: str) -> dict[str, int]:
    """Reads a vocabulary as {token: id}, in the order of the ids.

    White space around a token is ignored, as in the original, and so is a byte order mark.

    Args:
      vocab_file: path of a UTF-8 text file, see `bert_tf.files.paths.open_text_lines`.

    Raises:
      ValueError: with file and line, when a line is not UTF-8, a token stands there twice, one
        of `SPECIAL_TOKENS` is missing, or the file is empty.
    """
    vocab: dict[str, int] = {}
    for index, line in enumerate(open_text_lines(vocab_file)):
        token = (line.removeprefix("\ufeff") if index == 0 else line).strip()
        if token in vocab:
            raise ValueError(
                f"{vocab_file}:{index + 1}: the token {token!r} stands in line "
                f"{vocab[token] + 1} already; a token has one id, so every line must differ. "
                "Replace the second one, for example by [unused0], to keep the ids after it."
            )
        vocab[token] = index
    if not vocab:
        raise ValueError(
            f"{vocab_file}:1: the vocabulary is empty; one token a line is expected, the first "
            "of them usually [PAD]."
        )
    _check_special_tokens(vocab, vocab_file)
    return vocab


def _check_special_tokens(vocab: Mapping[str, int], vocab_file: str) -> None:
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise ValueError(
            f"{vocab_file}:{len(vocab)}: the vocabulary ends here without {', '.join(missing)}. "
            f"Each of {' '.join(SPECIAL_TOKENS)} must have a line of its own."
        )


def is_continuation(token: str) -> bool:
    """Whether a piece goes on with the word of the piece before it: `##ing`."""
    return token.startswith("##") and token != "##"


def convert_by_vocab(vocab: Mapping, items: Iterable) -> list:
    """Looks every item up: tokens to ids, or ids to tokens with the inverse vocabulary.

    Raises:
      KeyError: for the first item that is not in `vocab`.
    """
    return [vocab[item] for item in items]


def convert_tokens_to_ids(vocab: Mapping[str, int], tokens: Iterable[str]) -> list[int]:
    """The id of every token; see `convert_by_vocab`."""
    return convert_by_vocab(vocab, tokens)


def convert_ids_to_tokens(inv_vocab: Mapping[int, str], ids: Iterable[int]) -> list[str]:
    """The token of every id; see `convert_by_vocab`."""
    return convert_by_vocab(inv_vocab, ids)


def validate_case_matches_checkpoint(do_lower_case: bool, init_checkpoint: str | None) -> None:
    """Refuses a lower-casing that does not fit one of Google's released models.

    Only the name of the checkpoint's folder is looked at, so a model of another name passes.

    Raises:
      ValueError: when the folder has the name of an uncased model and `do_lower_case` is False,
        or that of a cased one and it is True.

    Source: google-research/bert, tokenization.py, the function of the same name; the models
    released after it was written are known here as well.
    """
    match = _CHECKPOINT_FOLDER.match(init_checkpoint or "")
    if match is None:
        return
    name = match.group(1)
    if do_lower_case:
        wrong, kind = _CASED_RELEASES.fullmatch(name), "cased"
    else:
        wrong, kind = _UNCASED_RELEASES.fullmatch(name), "uncased"
    if wrong:
        raise ValueError(
            f"--do_lower_case={do_lower_case} with --init_checkpoint={init_checkpoint}: {name} is "
            f"a {kind} model. Pass --do_lower_case={not do_lower_case}, so that the text is "
            "tokenized as it was when the model was pre-trained; if the model is another one, "
            "rename its folder."
        )


def check_vocabulary(vocab: Mapping[str, int], vocab_file: str, do_lower_case: bool) -> None:
    """Refuses a lower-casing that the vocabulary's own entries contradict.

    Vocabularies with fewer than 1,000 entries that begin with an ASCII letter tell nothing.

    Raises:
      ValueError: if text is lower-cased and the vocabulary has capital letters, which would never
        be met; or if it is not, and every word with a capital letter would be unknown.
    """
    words = [token for token in vocab if token[:1].isascii() and token[:1].isalpha()]
    if len(words) < _MIN_WORDS_TO_TELL_CASE:
        return
    share = sum(word != word.lower() for word in words) / len(words)
    if do_lower_case and share > _SHARE_OF_A_CASED_VOCABULARY:
        raise ValueError(
            f"{vocab_file}: {share:.0%} of its words have capital letters: the vocabulary of a "
            "cased model. Pass --do_lower_case=False; lower-cased text would never meet them."
        )
    if not do_lower_case and share == 0:
        raise ValueError(
            f"{vocab_file}: none of its {len(words)} words has a capital letter: the vocabulary of "
            "an uncased model. Pass --do_lower_case=True; otherwise words with capital letters "
            "are unknown to it."
        )
