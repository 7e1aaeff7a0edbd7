"""Converts models between google-research's checkpoints and other formats.

    python run_scripts/convert_checkpoint.py --from=bert-base-uncased --to=google \\
        --output_dir=uncased_L-12_H-768_A-12

    python run_scripts/convert_checkpoint.py --from=output/mrpc --to=huggingface \\
        --output_dir=mrpc_model

`--from` is a folder, a checkpoint prefix, or the zip or name of a released model. The script prints
which weights were mapped, dropped and missing, compares both models on the same input, and refuses
to lose weights unless --allow_missing is given. It can also drop the optimizer state
(--keep_optimizer=false), average the newest checkpoints of a run (--average_last=5), pad the
vocabulary (--padded_vocab_size=30528), give it new words (--new_words=words.txt) and replace it
(--new_vocab=vocab.txt). See docs/conversion.md and docs/domains.md.

BERT-Base takes half a minute on two CPU cores.
"""

import dataclasses

import command_line
from absl import flags

from bert_tf.settings import ConversionSettings

# `from` is a keyword of Python, so it cannot name a field.
_SOURCE = next(f for f in dataclasses.fields(ConversionSettings) if f.name == "source")
flags.DEFINE_string("from", None, _SOURCE.metadata["help"])
command_line.need_flags(["from"])
command_line.define_flags(ConversionSettings, required=("to", "output_dir"), leave_out=("source",))
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    settings = command_line.settings_from_flags(
        ConversionSettings, source=flags.FLAGS["from"].value
    )
    command_line.load_tensorflow()
    from bert_tf.conversion.convert import convert

    for line in convert(settings).lines():
        print(line)


if __name__ == "__main__":
    command_line.run(main)
