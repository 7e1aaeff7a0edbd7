"""Makes a text corpus from the English documentation inside installed Python packages.

    python run_scripts/collect_documentation.py --output_dir=/tmp/corpus

Writes train.txt and held_out.txt there: one sentence per line, a blank line after each document.
With TensorFlow installed it collects about 23,000 documents (6 MB of prose) in 15 seconds. The same
installation always gives the same bytes.
"""

import command_line
from absl import flags

from bert_tf.corpus.documentation import DEFAULT_PACKAGES, write_corpus

FLAGS = flags.FLAGS

flags.DEFINE_string("output_dir", None, "The folder for train.txt and held_out.txt.")
flags.DEFINE_list(
    "packages",
    ",".join(DEFAULT_PACKAGES),
    "Installed top-level packages to read, separated by commas; 'python' stands for Python's "
    "standard library and help topics.",
)
flags.DEFINE_float(
    "held_out_share",
    0.02,
    "The fraction of documents written to held_out.txt instead of train.txt.",
)
command_line.need_flags(["output_dir"])


def main(_: list[str]) -> None:
    num_train, num_held_out = write_corpus(FLAGS.output_dir, FLAGS.packages, FLAGS.held_out_share)
    print(f"{num_train:,} documents in {FLAGS.output_dir}/train.txt")
    print(f"{num_held_out:,} documents in {FLAGS.output_dir}/held_out.txt")


if __name__ == "__main__":
    command_line.run(main)
