"""Gives a WordPiece model new words, whose vectors start from those of their old pieces.

    angioplasty    ang ##io ##pl ##ast ##y    the mean of five rows of the word embeddings, and of
                                              five biases of the masked-LM head

--new_words gives the word the row of [unused7]; all other rows stay. --new_vocab makes the rows of
another vocabulary, in which tokens of the old one keep their vectors.
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from bert_tf import files
from bert_tf.conversion.weights import VOCABULARY_ROWS
from bert_tf.formats.source import PretrainedModel
from bert_tf.settings import ConversionSettings
from bert_tf.text.electra_tokenization import ElectraBasicTokenizer
from bert_tf.text.tokenization import BasicTokenizer, WordpieceTokenizer
from bert_tf.text.vocabulary import case_of_vocabulary, is_continuation, load_vocab

_UNK = "[UNK]"
_UNUSED = re.compile(r"\[unused\d+\]")
_BASIC_TOKENIZERS = {
    "bert": BasicTokenizer,
    "distilbert": BasicTokenizer,
    "electra": ElectraBasicTokenizer,
}


def change_vocabulary(model: PretrainedModel, settings: ConversionSettings) -> PretrainedModel:
    """Returns the model with the new words or the new vocabulary of the settings, if any.

    A note says what was done. Raises a ValueError for models without a WordPiece vocabulary, and
    see `add_words` and `replace_vocabulary`.
    """
    if settings.new_words:
        return add_words(model, settings.new_words, settings.append_words)
    if settings.new_vocab:
        return replace_vocabulary(model, settings.new_vocab)
    return model


def add_words(model: PretrainedModel, words_file: str, append: bool = False) -> PretrainedModel:
    """Returns the model with the words of a file, one a line, in place of [unused] tokens.

    If there are more words than [unused] tokens, `append` adds rows for the others. Raises a
    ValueError if there are more without it, if the file has no words or one twice, or if text never
    becomes a word of it: the tokenizer splits it, writes it otherwise, or has it already.
    """
    vocab = list(_wordpiece_vocab(model, "--new_words"))
    words = _read_words(words_file, model)
    unused = [row for row, token in enumerate(vocab) if _UNUSED.fullmatch(token)]
    if len(words) > len(unused) and not append:
        raise ValueError(
            f"{words_file}: {len(words):,} words, but the vocabulary of {model.path} has "
            f"{len(unused):,} [unused] rows. Give at most so many words, or --append_words, which "
            "adds rows at its end for the others."
        )
    splitter = _OldPieces(vocab)
    rows = [*unused, *range(len(vocab), len(vocab) + len(words))][: len(words)]
    vocab += [""] * max(0, rows[-1] + 1 - len(vocab))
    sources = [(row,) for row in range(model.config.vocab_size)]
    sources += [(0,)] * (len(vocab) - len(sources))
    for row, word in zip(rows, words, strict=True):
        vocab[row], sources[row] = word, splitter.ids(word)
    num_appended = max(0, len(words) - len(unused))
    appended = f", of which {num_appended:,} in rows at its end" if num_appended else ""
    note = (
        f"the vocabulary has {len(words):,} new words{appended}: {files.some(words)}. It has "
        f"{max(0, len(unused) - len(words)):,} [unused] rows left."
    )
    return _with_rows(model, vocab, sources, note + _unspelled(splitter))


def replace_vocabulary(model: PretrainedModel, vocab_file: str) -> PretrainedModel:
    """Returns the model with another vocabulary, whose tokens keep their vectors or get means.

    Raises a ValueError if the file is not a vocabulary with all special tokens, or is of text in
    another case than the model's.
    """
    splitter = _OldPieces(_wordpiece_vocab(model, "--new_vocab"))
    vocab = list(load_vocab(vocab_file))
    is_lower, of_model = case_of_vocabulary(vocab), model.tokenizer.do_lower_case
    if None not in (is_lower, of_model) and is_lower != of_model:
        raise ValueError(
            f"{vocab_file}: {'none' if is_lower else 'many'} of its words have capital letters, "
            f"but {model.path} {'lower-cases text' if of_model else 'keeps the case of text'}. "
            f"Learn the vocabulary with --do_lower_case={of_model}."
        )
    sources = [splitter.ids(token) for token in vocab]
    num_kept = sum(token in splitter.ids_by_token for token in vocab)
    num_made = len(vocab) - num_kept - len(splitter.unspelled)
    note = (
        f"the vocabulary has {len(vocab):,} tokens instead of {len(splitter.ids_by_token):,}: "
        f"{num_kept:,} kept their vectors, {num_made:,} start as the mean of their old pieces."
    )
    return _with_rows(model, vocab, sources, note + _unspelled(splitter))


class _OldPieces:
    """Splits tokens into the pieces of an old vocabulary; remembers those that it cannot spell."""

    def __init__(self, vocab: Sequence[str]):
        self.ids_by_token = {token: number for number, token in enumerate(vocab)}
        self.unspelled: list[str] = []
        # Within a word, even the first piece is one that continues a word.
        within = [token for token in vocab if is_continuation(token)]
        starts = {token.removeprefix("##"): 0 for token in within}
        self._words = WordpieceTokenizer(self.ids_by_token)
        self._continuations = WordpieceTokenizer({**dict.fromkeys(within, 0), **starts})

    def ids(self, token: str) -> tuple[int, ...]:
        """Returns the id of an old token, the ids of another one's pieces, or that of [UNK]."""
        if token in self.ids_by_token:
            return (self.ids_by_token[token],)
        pieces = self._pieces(token)
        if pieces == [_UNK]:
            self.unspelled.append(token)
        return tuple(self.ids_by_token[piece] for piece in pieces)

    def _pieces(self, token: str) -> list[str]:
        if not is_continuation(token):
            return self._words.split_word(token)
        first, *rest = self._continuations.split_word(token.removeprefix("##"))
        return [_UNK] if first == _UNK else [f"##{first}", *rest]


def _wordpiece_vocab(model: PretrainedModel, flag: str) -> tuple[str, ...]:
    model_type, tokenizer = model.config.model_type, model.tokenizer
    if model_type not in _BASIC_TOKENIZERS or tokenizer.model is not None:
        raise ValueError(
            f"{model.path}: {flag} is for WordPiece models: {', '.join(_BASIC_TOKENIZERS)}. "
            f"Received: the model_type {model_type!r}"
        )
    if tokenizer.vocab is None:
        raise ValueError(f"{model.path}: {flag} needs the model's vocab.txt beside the weights.")
    return tokenizer.vocab


def _read_words(path: str, model: PretrainedModel) -> list[str]:
    """Returns the words of a file; raises a ValueError for the first that cannot be a token."""
    known, tokenizer = set(model.tokenizer.vocab), _basic_tokenizer(model)
    lines: dict[str, int] = {}
    for number, line in enumerate(files.open_text_lines(path), start=1):
        word = line.strip()
        if not word:
            continue
        problem = _problem_of(word, tokenizer, known)
        if word in lines:
            problem = f"stands in line {lines[word]} already. Leave one of them out."
        if problem:
            raise ValueError(f"{path}:{number}: the word {word!r} {problem}")
        lines[word] = number
    if not lines:
        raise ValueError(f"{path}:1: no words; the file must have one on each line.")
    return list(lines)


def _problem_of(word: str, tokenizer: BasicTokenizer, known: set[str]) -> str:
    if word in known:
        return "is in the vocabulary already. Leave it out."
    parts = tokenizer.tokenize(word)
    if len(parts) > 1:
        return f"would never be found: the tokenizer splits text into {' '.join(parts)} there."
    if parts != [word]:
        found = parts[0] if parts else "nothing"
        return (
            f"would never be found: the tokenizer makes it {found!r}. Write that, or leave it out."
        )
    if WordpieceTokenizer({word: 0}).split_word(word) != [word]:
        return f"has {len(word)} characters, more than a word may have."
    return ""


def _basic_tokenizer(model: PretrainedModel) -> BasicTokenizer:
    tokenizer = model.tokenizer
    case = tokenizer.do_lower_case
    if case is None:
        case = case_of_vocabulary(tokenizer.vocab)
    if case is None:
        raise ValueError(
            f"{model.path}: nothing says whether its text is lower-cased, and so how new words are "
            'written. Put a tokenizer_config.json beside it: {"do_lower_case": true}, or false.'
        )
    return _BASIC_TOKENIZERS[model.config.model_type](case, tokenizer.strip_accents)


def _unspelled(splitter: _OldPieces) -> str:
    if not splitter.unspelled:
        return ""
    return (
        f" {len(splitter.unspelled):,} start as {_UNK}, as the old pieces cannot spell them: "
        f"{files.some(splitter.unspelled)}."
    )


def _with_rows(
    model: PretrainedModel, vocab: Sequence[str], sources: Sequence[tuple[int, ...]], note: str
) -> PretrainedModel:
    """Returns the model with these tokens, whose rows are the means of the old rows `sources`."""
    weights = {
        name: _means(value, sources) if VOCABULARY_ROWS.search(name) else value
        for name, value in model.weights.items()
    }
    return dataclasses.replace(
        model,
        config=dataclasses.replace(model.config, vocab_size=len(sources)),
        weights=weights,
        tokenizer=dataclasses.replace(model.tokenizer, vocab=tuple(vocab)),
        notes=(*model.notes, note),
    )


def _means(value: np.ndarray, sources: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Returns the mean of old rows for each new one: [V, ...] in, [V', ...] out."""
    means = value[[ids[0] for ids in sources]]
    for row, ids in enumerate(sources):
        if len(ids) > 1:
            means[row] = value[list(ids)].mean(axis=0, dtype=np.float64)
    return means
