"""Learns a WordPiece vocabulary from text.

    python run_scripts/learn_vocab.py --input_file=text/*.txt.gz --output_file=vocab.txt \\
        --vocab_size=30522 --do_lower_case=True

Writes exactly --vocab_size lines: [PAD] first, then where Google's vocabularies have them [UNK],
[CLS], [SEP], [MASK] and the unused rows, then single characters, then longer pieces. The same text
gives the same file. 64 MB of English text take about 15 seconds.

Needs the package tokenizers: pip install "bert-tf[vocab]".
"""

import sys

import command_line
from absl import flags

from bert_tf.text.wordpiece import learn_vocab

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "input_file",
    None,
    "UTF-8 text, as for create_pretraining_data.py: paths or patterns, separated by commas; .gz "
    "files are decompressed.",
)
flags.DEFINE_string("output_file", None, "The vocabulary, a token a line.")
flags.DEFINE_integer("vocab_size", 30522, "Lines of the vocabulary.", lower_bound=6)
flags.DEFINE_bool(
    "do_lower_case",
    True,
    "Whether words are lower-cased and lose their accents. Whatever uses the vocabulary later must "
    "be told the same.",
)
flags.DEFINE_integer(
    "num_unused",
    None,
    "How many lines [unused0], [unused1], ... are kept free for tokens of your own. By default "
    "none below 20,000 lines; from there on 994 if lower-casing, 101 if not, as in Google's.",
    lower_bound=0,
)


def main(_: list[str]) -> None:
    rows = learn_vocab(
        input_file=FLAGS.input_file,
        output_file=FLAGS.output_file,
        vocab_size=FLAGS.vocab_size,
        do_lower_case=FLAGS.do_lower_case,
        num_unused=FLAGS.num_unused,
        stream=sys.stderr,
    )
    print(f"{len(rows):,} tokens in {FLAGS.output_file}")


if __name__ == "__main__":
    flags.mark_flags_as_required(["input_file", "output_file"])
    command_line.run(main)
