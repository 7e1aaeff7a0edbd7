"""Makes a plain text of some megabytes, and the right ids of its lines, by the exact tokenizer."""

import random
from collections.abc import Iterator
from pathlib import Path

from plain_text import VOCAB, digests, digests_file, read_lines, text_file
from reporting import read_settings

from bert_tf.files import expand_input_files, open_text_lines
from bert_tf.text.tokenization import FullTokenizer

SETTINGS = read_settings()
SENTENCES_OF_DOCUMENT = 100


def main() -> None:
    if text_file(SETTINGS).exists():
        return
    left = 1e6 * SETTINGS.megabytes
    partial = text_file(SETTINGS).with_suffix(".partial")
    with open(partial, "w", encoding="utf-8", newline="\n") as file:
        for line in novels() if SETTINGS.data_dir else made_up():
            file.write(f"{line}\n")
            left -= len(line.encode()) + 1
            if left <= 0:
                break
    partial.rename(text_file(SETTINGS))
    encode = FullTokenizer(VOCAB).encode
    right = digests(map(encode, read_lines(SETTINGS)))
    digests_file(SETTINGS).write_text("\n".join(map(str, right)))


def novels() -> Iterator[str]:
    """Yields the sentences of novels, cut into documents as long as articles."""
    for path in expand_input_files(f"{SETTINGS.data_dir}/text/novels_?.txt.gz"):
        for number, line in enumerate(open_text_lines(path), 1):
            yield line
            if number % SENTENCES_OF_DOCUMENT == 0:
                yield ""


def made_up() -> Iterator[str]:
    """Yields sentences of the vocabulary's words, the first ones of which are the most frequent."""
    rng = random.Random(1)
    words = [word for word in Path(VOCAB).read_text(encoding="utf-8").split() if word.isalpha()]
    while True:
        for _ in range(SENTENCES_OF_DOCUMENT):
            places = (int(len(words) ** rng.random()) for _ in range(rng.randint(3, 30)))
            yield " ".join(words[place] for place in places).capitalize() + "."
        yield ""


if __name__ == "__main__":
    main()
