"""Turns Wikipedia dumps, books and other text into files for create_pretraining_data.py.

    python run_scripts/prepare_corpus.py --input_file=enwiki-latest-pages-articles.xml.bz2 \\
        --output_dir=text/en --num_shards=100 --num_workers=16

    python run_scripts/prepare_corpus.py --input_file='books/*.txt' --output_dir=text/books

    python run_scripts/prepare_corpus.py --input_file='en=enwiki*.xml.bz2,de=dewiki*.xml.bz2' \\
        --output_dir=text/multilingual --num_shards=100 --num_workers=16

Writes one sentence per line, with a blank line after each document, and prints a report. Also reads
JSON lines (a.jsonl.gz) and data sets of tensorflow-datasets (--source=tfds
--input_file=wikipedia/20230601.en). After an interruption the same command resumes the work. Needs
`pip install mwparserfromhell sentencex`. See docs/corpus.md.

A core processes about 9 MB of a dump's XML per second. English Wikipedia (100 GB) takes a quarter
of an hour on 16 cores from the multistream dump, and most of an hour from a single-stream dump.
"""

import sys

import command_line
from absl import flags

from bert_tf.corpus.preparation import prepare_corpus
from bert_tf.settings import CorpusSettings

command_line.define_flags(CorpusSettings, required=("input_file", "output_dir"))
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    report = prepare_corpus(command_line.settings_from_flags(CorpusSettings), sys.stderr)
    print("\n".join(report.lines()))
    for problem in report.problems():
        print(f"WARNING: {problem}", file=sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
