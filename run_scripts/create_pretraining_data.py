"""Makes pre-training records from text: sentence pairs with hidden tokens.

As with the original release, whose flags and records these are:

    python run_scripts/create_pretraining_data.py --input_file='text/*.txt' \\
        --output_file=records/a.tfrecord,records/b.tfrecord --vocab_file=vocab.txt \\
        --do_lower_case=True --max_seq_length=128 --max_predictions_per_seq=20 \\
        --masked_lm_prob=0.15 --random_seed=12345 --dupe_factor=5

For a corpus that does not fit in memory, or many cores: shards, made independently.

    python run_scripts/create_pretraining_data.py --input_file='text/*.txt.gz' \\
        --output_dir=records --num_shards=100 --num_workers=16 --vocab_file=vocab.txt

Started again, it keeps the shards that are whole. With Apache Beam, in an environment of its own
(setup_beam_environment.sh), whose flags follow a lone `--`; the shards are the same, to the byte:

    .venv-beam/bin/python run_scripts/create_pretraining_data.py --input_file='text/*.txt.gz' \\
        --output_dir=records --num_shards=100 --vocab_file=vocab.txt --runner=beam \\
        -- --runner=DirectRunner --direct_num_workers=16 --direct_running_mode=multi_processing

`--model=bert_base_uncased` in place of --vocab_file and --do_lower_case: see docs/models.md.

The text is UTF-8, a sentence a line, with a blank line between documents. Ends with a report, and
with warnings if something about the text will harm the training; docs/data.md explains both. Takes
about 2 s for each MB of text on one core with `--dupe_factor=5`.
"""

import signal
import sys

import command_line
from absl import flags

from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import DUPE_FACTORS, PretrainingDataSettings

DEFAULT = PretrainingDataSettings  # The defaults are written there.

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "input_file",
    None,
    "Text files or patterns, with commas between them; .gz files are decompressed.",
)
flags.DEFINE_string(
    "output_file",
    None,
    "Record files, with commas between them; examples go to them in turns. Either this or "
    "--output_dir.",
)
flags.DEFINE_string("vocab_file", None, "The vocabulary, one token a line.")
flags.DEFINE_bool(
    "do_lower_case",
    DEFAULT.do_lower_case,
    "Whether to lower-case the text and strip its accents: as the vocabulary was made.",
)
flags.DEFINE_bool(
    "do_whole_word_mask",
    DEFAULT.do_whole_word_mask,
    "Whether to hide all pieces of a word together.",
)
flags.DEFINE_integer(
    "max_seq_length", DEFAULT.max_seq_length, "Tokens of an example, with [CLS] and both [SEP]."
)
flags.DEFINE_integer(
    "max_predictions_per_seq",
    DEFAULT.max_predictions_per_seq,
    "The most tokens to hide in an example.",
)
flags.DEFINE_integer("random_seed", DEFAULT.random_seed, "Where all chance comes from.")
flags.DEFINE_integer(
    "dupe_factor",
    DUPE_FACTORS["static"],
    "How often to go through the text, with other pairs and masks each time. With "
    f"--masking=dynamic: {DUPE_FACTORS['dynamic']}, unless given.",
)
flags.DEFINE_float("masked_lm_prob", DEFAULT.masked_lm_prob, "What fraction of tokens to hide.")
flags.DEFINE_float(
    "short_seq_prob",
    DEFAULT.short_seq_prob,
    "For what fraction of documents to make examples shorter than they could be.",
)
flags.DEFINE_string(
    "output_dir", DEFAULT.output_dir, "A folder for shards, instead of --output_file."
)
flags.DEFINE_integer(
    "num_shards",
    DEFAULT.num_shards,
    "Into how many record files to deal the documents; memory is bounded by one of them.",
)
flags.DEFINE_integer(
    "num_workers",
    DEFAULT.num_workers,
    "How many processes make shards. The records do not depend on it.",
)
flags.DEFINE_enum(
    "runner",
    "local",
    ["local", "beam"],
    "Who makes the shards of --output_dir: processes of this machine, or Apache Beam, whose flags "
    "follow a lone --. The records are the same.",
)
flags.DEFINE_enum(
    "masking",
    DEFAULT.masking,
    list(DUPE_FACTORS),
    "static: hide tokens now. dynamic: write unmasked pairs once, of which every epoch of training "
    "hides other tokens.",
)
flags.DEFINE_bool("gzip", DEFAULT.gzip, "Whether to compress the record files.")
flags.DEFINE_bool(
    "mend_quirks",
    DEFAULT.mend_quirks,
    "Whether to do better where the original harms the model: see docs/differences.md.",
)
command_line.define_model_flag()
command_line.need_flags(("input_file", "vocab_file"))
flags.adopt_module_key_flags(command_line)


def settings_from_flags() -> PretrainingDataSettings:
    """The settings that the command line gives."""
    values = {name: FLAGS[name].value for name in PretrainingDataSettings.__dataclass_fields__}
    if not FLAGS["dupe_factor"].present:
        values["dupe_factor"] = None  # It depends on the kind of masking.
    values["output_file"] = FLAGS.output_file or ()
    values |= command_line.model_values()
    return PretrainingDataSettings(**values)


def beam_flags(words: list[str]) -> list[str] | None:
    """Beam's flags, which are the words after a lone `--`; None for the local runner."""
    after = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    is_beam = FLAGS.runner == "beam"
    # `--gzip True` leaves a word behind that says what the flag says by itself.
    stray = [word for word in words[: len(words) - len(after)] if word.lower() != "true"]
    stray += without_flags(after) if is_beam else after
    if stray:
        raise ValueError(
            f"not understood: {' '.join(stray)!r}. Write --flag=value, or --noflag for a flag that "
            f"is not to be set; put a pattern of files in quotes. (Flags after -- are for "
            f"--runner=beam.)"
        )
    if is_beam and not FLAGS.output_dir:
        raise ValueError("--runner=beam makes shards: it needs --output_dir and --num_shards.")
    if is_beam and FLAGS["num_workers"].present:
        raise ValueError(
            "--num_workers is of --runner=local. How many workers Beam has is for its own "
            "flags to say, after --: such as --direct_num_workers=4."
        )
    return after if is_beam else None


def without_flags(words: list[str]) -> list[str]:
    """The words that are no flag, nor what may be the value of one (`--flag value`)."""
    before = ["", *words]
    return [
        word
        for word, last in zip(words, before, strict=False)
        if not word.startswith("-") and (not last.startswith("-") or "=" in last)
    ]


def main(arguments: list[str]) -> None:
    flags_of_beam = beam_flags(arguments[1:])
    # Ended by its user or a scheduler, the script removes what it has not finished.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    report = create_pretraining_data(settings_from_flags(), sys.stderr, flags_of_beam)
    print("\n".join(report.lines()))
    for problem in report.problems:
        print(f"WARNING: {problem}", file=sys.stderr)


if __name__ == "__main__":
    command_line.run(main, takes_words=True)
