"""Makes pre-training records from text: sentence pairs with masked tokens.

With the flags and the records of the original release:

    python run_scripts/create_pretraining_data.py --input_file='text/*.txt' \\
        --output_file=records/a.tfrecord,records/b.tfrecord --vocab_file=vocab.txt \\
        --do_lower_case=True --max_seq_length=128 --max_predictions_per_seq=20 \\
        --masked_lm_prob=0.15 --random_seed=12345 --dupe_factor=5

For a corpus that does not fit in memory, or to use many cores, write shards, which are made
independently of each other:

    python run_scripts/create_pretraining_data.py --input_file='text/*.txt.gz' \\
        --output_dir=records --num_shards=100 --num_workers=16 --vocab_file=vocab.txt

After an interruption the same command keeps the finished shards. With Apache Beam, in its own
environment (setup_beam_environment.sh), the shards are the same to the byte. Beam's flags follow
`--`:

    .venv-beam/bin/python run_scripts/create_pretraining_data.py --input_file='text/*.txt.gz' \\
        --output_dir=records --num_shards=100 --vocab_file=vocab.txt --runner=beam \\
        -- --runner=DirectRunner --direct_num_workers=16 --direct_running_mode=multi_processing

`--model=bert_base_uncased` replaces --vocab_file and --do_lower_case: see docs/models.md.

The text is UTF-8, one sentence per line, with a blank line between documents. Prints a report, and
warnings if something about the text will harm the training; docs/data.md explains both. Takes about
2 s per MB of text on one core with `--dupe_factor=5`.
"""

import signal
import sys

import command_line
from absl import flags

from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings

FLAGS = flags.FLAGS

flags.DEFINE_enum(
    "runner",
    "local",
    ["local", "beam"],
    "What makes the shards of --output_dir: processes on this machine, or Apache Beam, whose flags "
    "follow --. The records are the same.",
)
command_line.define_model_flag()
command_line.define_flags(PretrainingDataSettings, required=("input_file", "vocab_file"))
flags.adopt_module_key_flags(command_line)


def beam_flags(words: list[str]) -> list[str] | None:
    """Returns Beam's flags, which follow `--`; None for the local runner."""
    after = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    is_beam = FLAGS.runner == "beam"
    # `--gzip True` leaves a redundant word.
    stray = [word for word in words[: len(words) - len(after)] if word.lower() != "true"]
    stray += without_flags(after) if is_beam else after
    if stray:
        raise ValueError(
            f"not understood: {' '.join(stray)!r}. Write --flag=value, or --noflag to switch a "
            f"flag off; put file patterns in quotes. (Flags after -- are for --runner=beam.)"
        )
    if is_beam and not FLAGS.output_dir:
        raise ValueError("--runner=beam writes shards: it needs --output_dir and --num_shards.")
    if is_beam and FLAGS["num_workers"].present:
        raise ValueError(
            "--num_workers is for --runner=local. Set the number of Beam's workers by its own "
            "flags, after --, for example --direct_num_workers=4."
        )
    return after if is_beam else None


def without_flags(words: list[str]) -> list[str]:
    """Returns the words that are neither a flag nor possibly its value (`--flag value`)."""
    before = ["", *words]
    return [
        word
        for word, last in zip(words, before, strict=False)
        if not word.startswith("-") and (not last.startswith("-") or "=" in last)
    ]


def main(arguments: list[str]) -> None:
    flags_of_beam = beam_flags(arguments[1:])
    # On SIGTERM, exit by an exception, so that unfinished files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    settings = command_line.settings_from_flags(PretrainingDataSettings)
    report = create_pretraining_data(settings, sys.stderr, flags_of_beam)
    print("\n".join(report.lines()))
    for problem in report.problems:
        print(f"WARNING: {problem}", file=sys.stderr)


if __name__ == "__main__":
    command_line.run(main, takes_words=True)
