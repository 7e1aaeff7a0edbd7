"""How well vocabularies fit text: words that stay whole, pieces a word, words that are unknown.

    python benchmarks/vocabularies.py --text_files=novels_eval.txt.gz,wiki.valid.tokens.gz \\
        --uncased=vocab/english_uncased_30522.txt,google/uncased.txt \\
        --cased=vocab/english_cased_30522.txt,google/cased.txt

A word is what BasicTokenizer gives and holds a letter or a digit; `<unk>`, which stands for words
in WikiText, is left out. Prints a Markdown table.
"""

from collections import Counter
from pathlib import Path

from absl import app, flags

from bert_tf.files import open_text_lines
from bert_tf.text.tokenization import BasicTokenizer, WordpieceTokenizer, load_vocab

FLAGS = flags.FLAGS
flags.DEFINE_list("text_files", None, "Text that the vocabularies have not seen.", required=True)
flags.DEFINE_list("uncased", [], "Vocabularies of lower-cased text.")
flags.DEFINE_list("cased", [], "Vocabularies that tell case.")


def count_words(text_file: str, do_lower_case: bool) -> Counter[str]:
    basic = BasicTokenizer(do_lower_case)
    words: Counter[str] = Counter()
    for line in open_text_lines(text_file):
        words.update(basic.tokenize(line.replace("<unk>", " ")))
    return Counter({word: n for word, n in words.items() if any(map(str.isalnum, word))})


def measure(vocab_file: str, words: Counter[str]) -> tuple[float, float, float]:
    """The share of words that stay whole, pieces a word, and the share that is [UNK]."""
    wordpiece = WordpieceTokenizer(load_vocab(vocab_file))
    whole = pieces = unknown = 0
    for word, count in words.items():
        split = wordpiece.split_word(word)
        whole += count * (split == [word])
        pieces += count * len(split)
        unknown += count * (split == ["[UNK]"])
    total = words.total()
    return whole / total, pieces / total, unknown / total


def main(_) -> None:
    print("| text | words | vocabulary | whole words | pieces a word | [UNK] |")
    print("|---|---|---|---|---|---|")
    for do_lower_case, vocab_files in ((True, FLAGS.uncased), (False, FLAGS.cased)):
        for text_file in FLAGS.text_files:
            words = count_words(text_file, do_lower_case)
            for vocab_file in vocab_files:
                whole, pieces, unknown = measure(vocab_file, words)
                print(
                    f"| {Path(text_file).name} | {words.total():,} | {Path(vocab_file).name} "
                    f"| {whole:.2%} | {pieces:.4f} | {unknown:.3%} |"
                )


if __name__ == "__main__":
    app.run(main)
