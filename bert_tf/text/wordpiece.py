"""Learns a WordPiece vocabulary from text.

    text ──BasicTokenizer──> words and their counts ──trainer──> a quarter more pieces than asked
         ──WordpieceTokenizer──> how often each is used ──> the pieces used most

Words are made by the tokenizer that the vocabulary is for, so every piece can be met. The trainer
is that of Hugging Face's `tokenizers`: it joins the two neighbouring pieces that occur together
most often, again and again. On the way to a long word it leaves pieces that nothing but that word
is made of, which the greedy tokenizer never takes; learning more and keeping what is used puts
whole words in their place (novels not seen: 97.6 % of words whole instead of 97.3 %).

The same text gives the same bytes.
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TextIO

from bert_tf.files.paths import atomic_write, expand_input_files, file_size, resolve_path
from bert_tf.progress import Progress
from bert_tf.text.tokenization import WordpieceTokenizer
from bert_tf.text.word_counts import count_words

# Google's uncased vocabulary has 994 unused rows and its cased one 101. 99 of them lie between
# [PAD] and [UNK], the others behind [MASK].
_GOOGLE_UNUSED = {True: 994, False: 101}
_UNUSED_BEFORE_UNK = 99
_SMALLEST_WITH_UNUSED = 20_000

# The trainer takes no counts, it has to be told a word as often as it occurs: 10 seconds for so
# many. It counts in 32 bits, too, which larger counts would overflow.
_MAX_WORDS_TOLD = 50_000_000
_CHARACTERS_TOLD_AT_ONCE = 100_000

# As many characters as Google's English vocabularies have; more where the text needs them.
_USUAL_CHARACTERS = 1000
_COVERAGE = 0.999
_LEARN_MORE = 1.25


def learn_vocab(
    input_file: str,
    output_file: str,
    vocab_size: int,
    do_lower_case: bool = True,
    num_unused: int | None = None,
    stream: TextIO | None = None,
) -> list[str]:
    """Learns a vocabulary from text files, writes it, a token a line, and returns it.

    Args:
      input_file: paths or patterns of UTF-8 text files (`.gz` too), separated by commas.
      output_file: where the vocabulary goes; it appears there when it is whole.
      vocab_size: its rows, exactly.
      do_lower_case: whether it is one of lower-cased words without accents.
      num_unused: rows `[unused0]`, `[unused1]`, ... kept free for tokens of one's own. None: as
        many as Google's vocabularies have where `vocab_size` is 20,000 or more, else none.
      stream: where progress is shown; None for nowhere.

    Raises:
      ValueError: when no file matches, a file is the output or is not UTF-8, or the text has too
        few different words, or too many different characters, for a vocabulary of this size.
    """
    stream = io.StringIO() if stream is None else stream
    if num_unused is None:
        num_unused = _GOOGLE_UNUSED[do_lower_case] if vocab_size >= _SMALLEST_WITH_UNUSED else 0
    special = special_rows(num_unused)
    num_pieces = vocab_size - len(special)
    if num_unused < 0 or num_pieces < 1:
        raise ValueError(
            f"vocab_size must leave room behind the {len(special)} rows of special and unused "
            f"tokens. Received: vocab_size={vocab_size}, num_unused={num_unused}"
        )
    _trainer_library()  # What is missing, or cannot be written, is better known now.
    paths = expand_input_files(input_file)
    if resolve_path(output_file) in map(resolve_path, paths):
        raise ValueError(f"{output_file}: an input file; the vocabulary needs a file of its own.")
    with atomic_write(output_file) as file:
        with Progress(sum(map(file_size, paths)) / 1e6, "MB", stream, "reading") as progress:
            counts = count_words(paths, do_lower_case, lambda size: progress.update(size / 1e6))
        if not counts:
            raise ValueError(f"There are no words in {', '.join(paths)}.")
        pieces = learn_pieces(counts, num_pieces, stream)
        if len(pieces) < num_pieces:
            raise ValueError(
                f"The text is too small for vocab_size={vocab_size}: its {len(counts):,} different "
                f"words give {len(pieces):,} pieces, which with {len(special)} special and unused "
                f"tokens make {len(special) + len(pieces):,} rows. Give more text, or at most "
                f"--vocab_size={len(special) + len(pieces)}."
            )
        rows = special + pieces
        file.write("".join(f"{row}\n" for row in rows).encode())
    return rows


def special_rows(num_unused: int) -> list[str]:
    """The rows before the pieces: where Google's vocabularies have them, if 99 or more are unused.

    [PAD] [unused0] ... [unused98] [UNK] [CLS] [SEP] [MASK] [unused99] ...
    """
    unused = [f"[unused{number}]" for number in range(num_unused)]
    first, rest = unused[:_UNUSED_BEFORE_UNK], unused[_UNUSED_BEFORE_UNK:]
    return ["[PAD]", *first, "[UNK]", "[CLS]", "[SEP]", "[MASK]", *rest]


def learn_pieces(
    word_counts: Mapping[str, int], num_pieces: int, stream: TextIO | None = None
) -> list[str]:
    """The pieces of a vocabulary: single characters, then others in the order they were learned.

    Args:
      word_counts: how often each word occurs.
      num_pieces: how many pieces are wanted; fewer come back if there are no more.
      stream: where progress is shown; None for nowhere.

    Raises:
      ValueError: when the single characters alone are more.
    """
    characters = _choose_characters(word_counts, num_pieces)
    known = set(characters)
    counts = {word: count for word, count in sorted(word_counts.items()) if known.issuperset(word)}
    continuing = sorted({character for word in counts for character in word[1:]})
    singles = characters + [f"##{character}" for character in continuing]
    learned = _train(counts, singles, int(num_pieces * _LEARN_MORE), stream or io.StringIO())
    if len(learned) <= num_pieces:
        return learned
    return singles + _most_used(learned[len(singles) :], singles, counts, num_pieces)


def _choose_characters(word_counts: Mapping[str, int], num_pieces: int) -> list[str]:
    """The characters that the vocabulary knows; a word with any other will be [UNK].

    They are the most frequent ones: those that make up 99.9 % of the text, and up to 1,000 while
    they fill at most half of the vocabulary.
    """
    frequency: Counter[str] = Counter()
    continuing: set[str] = set()
    for word, count in word_counts.items():
        for character in word:
            frequency[character] += count
        continuing.update(word[1:])
    needed = _COVERAGE * frequency.total()
    chosen: list[str] = []
    rows = covered = 0
    for character in sorted(frequency, key=lambda x: (-frequency[x], x)):
        rows += 2 if character in continuing else 1
        if covered >= needed and (2 * rows > num_pieces or len(chosen) >= _USUAL_CHARACTERS):
            break
        if rows > num_pieces:
            raise ValueError(
                f"vocab_size is too small: of the {len(frequency):,} different characters, those "
                f"that make up {_COVERAGE:.1%} of the text need more than the {num_pieces:,} rows "
                "that special and unused tokens leave. Ask for more rows."
            )
        chosen.append(character)
        covered += frequency[character]
    return sorted(chosen)


def _train(
    counts: Mapping[str, int], singles: list[str], num_pieces: int, stream: TextIO
) -> list[str]:
    """At most `num_pieces` pieces in the order they are learned, `singles` first."""
    tokenizers = _trainer_library()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=num_pieces,
        min_frequency=1,
        # Given in an order, single characters get ids in it. Otherwise these follow a hash table,
        # and with them the order of pairs that are equally frequent: no run would be like another.
        special_tokens=singles,
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer.train_from_iterator(_tell(_scaled(counts), stream), trainer)
    vocab = tokenizer.get_vocab()
    return sorted(vocab, key=vocab.__getitem__)


def _trainer_library() -> ModuleType:
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise ValueError(
            'Learning a vocabulary needs the package tokenizers: pip install "bert-tf[vocab]"'
        ) from error
    return tokenizers


def _scaled(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts, made smaller if need be so that they add up to 50 million at most."""
    total = sum(counts.values())
    if total <= _MAX_WORDS_TOLD:
        return dict(counts)
    scaled = {word: count * _MAX_WORDS_TOLD // total for word, count in counts.items()}
    return {word: count for word, count in scaled.items() if count}


def _tell(counts: Mapping[str, int], stream: TextIO) -> Iterator[str]:
    """Each word as often as it was counted, in texts of a bearable size."""
    with Progress(sum(counts.values()), "words", stream, "learning") as progress:
        for word, count in counts.items():
            at_once = _CHARACTERS_TOLD_AT_ONCE // len(word)
            for told in range(0, count, at_once):
                yield f"{word} " * min(at_once, count - told)
            progress.update(count)
    stream.write("joining pieces that often stand together\n")
    stream.flush()


def _most_used(
    learned: list[str], singles: list[str], counts: Mapping[str, int], num_pieces: int
) -> list[str]:
    """Those of the `learned` pieces that the words are split into most often, as many as fit."""
    wordpiece = WordpieceTokenizer(dict.fromkeys([*singles, *learned], 0))
    used: Counter[str] = Counter()
    for word, count in counts.items():
        for piece in wordpiece.split_word(word):
            used[piece] += count
    kept = sorted(learned, key=lambda piece: -used[piece])[: num_pieces - len(singles)]
    kept_set = set(kept)
    return [piece for piece in learned if piece in kept_set]
