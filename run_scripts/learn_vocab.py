"""Learns a vocabulary from text: of WordPiece, or of byte-level BPE, RoBERTa's.

    python run_scripts/learn_vocab.py --input_file='text/*.txt.gz' --output_file=vocab.txt \\
        --vocab_size=30522 --do_lower_case=True
    python run_scripts/learn_vocab.py --input_file='text/*.txt.gz' --output_file=tokenizer.json \\
        --vocab_size=50265

*.json becomes byte-level BPE: a tokenizer.json, with the merges. Every other name becomes WordPiece
of exactly --vocab_size lines: [PAD], [UNK], [CLS], [SEP], [MASK] and the unused rows in the places
where Google's vocabularies have them, then single characters, then longer pieces. The same text
always gives the same file. 64 MB of English text take about 15 seconds.

Needs `pip install tokenizers`.
"""

import sys

import command_line
from absl import flags

from bert_tf.text.byte_bpe_learner import learn_byte_bpe
from bert_tf.text.wordpiece import learn_vocab

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "input_file",
    None,
    "UTF-8 text files, as for create_pretraining_data.py: paths or patterns, separated by commas. "
    "Gzipped files are decompressed.",
)
flags.DEFINE_string(
    "output_file",
    None,
    "The vocabulary to write: one token per line, or a tokenizer.json with the merges, too.",
)
flags.DEFINE_integer("vocab_size", 30522, "Number of tokens in the vocabulary.", lower_bound=6)
flags.DEFINE_bool(
    "do_lower_case",
    None,
    "Whether to lower-case words and strip accents. Give the same value wherever the vocabulary is "
    "used. Default: true; byte-level BPE keeps the case.",
)
flags.DEFINE_integer(
    "num_unused",
    None,
    "Number of lines [unused0], [unused1], ... reserved for tokens of your own. Default: none if "
    "--vocab_size is below 20,000; otherwise 994 if lower-casing and 101 if not, as in Google's.",
    lower_bound=0,
)


def main(_: list[str]) -> None:
    common = (FLAGS.input_file, FLAGS.output_file, FLAGS.vocab_size)
    if FLAGS.output_file.endswith(".json"):
        for name in ("do_lower_case", "num_unused"):
            if FLAGS[name].value:
                raise ValueError(
                    f"--{name} is for WordPiece: {FLAGS.output_file} becomes a byte-level BPE "
                    "vocabulary, which has all characters in both cases and no unused rows."
                )
        rows = learn_byte_bpe(*common, stream=sys.stderr)
    else:
        lower = FLAGS.do_lower_case is not False
        rows = learn_vocab(*common, lower, FLAGS.num_unused, stream=sys.stderr)
    print(f"{len(rows):,} tokens in {FLAGS.output_file}")


if __name__ == "__main__":
    flags.mark_flags_as_required(["input_file", "output_file"])
    command_line.run(main)
