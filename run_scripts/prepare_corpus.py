"""Makes text of one sentence a line, as create_pretraining_data.py reads it, of dumps and books.

    python run_scripts/prepare_corpus.py --input_file=enwiki-latest-pages-articles.xml.bz2 \\
        --output_dir=text/en --num_shards=100 --num_workers=16

    python run_scripts/prepare_corpus.py --input_file='books/*.txt' --output_dir=text/books

    python run_scripts/prepare_corpus.py --input_file='en=enwiki*.xml.bz2,de=dewiki*.xml.bz2' \\
        --output_dir=text/multilingual --num_shards=100 --num_workers=16

Also of JSON lines (a.jsonl.gz) and of data sets of tensorflow-datasets (--source=tfds
--input_file=wikipedia/20230601.en). Ends with a report; started again after an interruption it goes
on where it was. Needs pip install 'bert-tf[corpus]'. See docs/corpus.md.

A core does about 9 MB of a dump's XML a second. English Wikipedia (100 GB) takes a quarter of
an hour on 16 cores from the multistream dump, and most of an hour from one of a single stream.
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


if __name__ == "__main__":
    command_line.run(main)
