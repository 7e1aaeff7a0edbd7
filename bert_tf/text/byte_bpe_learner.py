"""Learns a byte-level BPE vocabulary, RoBERTa's kind, from text.

    lines ──> words with the space before them, as bytes ──> the most frequent pair is merged, again
    and again ──> a `tokenizer.json`

The special tokens have RoBERTa's ids: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, `<mask>` the last.
The merges are found by the trainer of Hugging Face's `tokenizers`. The result is deterministic.

Source: Sennrich et al. 2016; Radford et al. 2019, section 2.2.
"""

import io
import json
from collections.abc import Iterator
from typing import TextIO

from bert_tf import files
from bert_tf.progress import Progress
from bert_tf.text.byte_bpe import tokenizer_json
from bert_tf.text.wordpiece import TRAINER, input_paths

_FIRST, _LAST = ("<s>", "<pad>", "</s>", "<unk>"), "<mask>"
_NUM_BYTES = 256
SMALLEST_SIZE = _NUM_BYTES + len(_FIRST) + 1


def learn_byte_bpe(
    input_file: str, output_file: str, vocab_size: int, stream: TextIO | None = None
) -> list[str]:
    """Learns a vocabulary from text files, writes it as a `tokenizer.json`, and returns its tokens.

    Args:
        input_file: paths or patterns of UTF-8 text files (`.gz` too), separated by commas.
        vocab_size: the exact number of tokens, special ones included.
        stream: shows progress.

    Raises a ValueError if no file matches, a file is the output or is not UTF-8, or the text has
    too few different words for a vocabulary of this size.
    """
    if vocab_size < SMALLEST_SIZE:
        raise ValueError(
            f"vocab_size must be at least {SMALLEST_SIZE}, for the bytes and the special tokens. "
            f"Received: {vocab_size}"
        )
    tokenizers = files.optional_module(*TRAINER)
    paths = input_paths(input_file, output_file)
    level = tokenizers.pre_tokenizers.ByteLevel
    learned = tokenizers.Tokenizer(tokenizers.models.BPE())
    learned.pre_tokenizer = level(add_prefix_space=True)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size - 1,  # <mask> is added at the end.
        min_frequency=2,
        special_tokens=list(_FIRST),
        initial_alphabet=sorted(level.alphabet()),
        show_progress=False,
    )
    with files.hold_file(output_file), files.atomic_write(output_file) as file:
        learned.train_from_iterator(_lines(paths, stream or io.StringIO()), trainer)
        model = json.loads(learned.to_str())["model"]
        vocab = model["vocab"] | {_LAST: len(model["vocab"])}
        if len(vocab) < vocab_size:
            raise ValueError(
                f"The text is too small for vocab_size={vocab_size}: what stands twice in it "
                f"makes {len(vocab):,} tokens. Give more text, or at most "
                f"--vocab_size={len(vocab)}."
            )
        file.write(tokenizer_json(vocab, model["merges"]))
    return sorted(vocab, key=vocab.__getitem__)


def _lines(paths: list[str], stream: TextIO) -> Iterator[str]:
    with Progress(sum(map(files.file_size, paths)) / 1e6, "MB", stream, "reading") as progress:
        for path in paths:
            for line in files.open_text_lines(path, lambda size: progress.update(size / 1e6)):
                if words := line.strip():
                    yield words
    stream.write("joining pieces that often stand together\n")
    stream.flush()
