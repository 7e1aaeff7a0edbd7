"""Predicts the tokens for [MASK] in sentences with a pre-trained model.

    python run_scripts/fill_mask.py --model_dir=quickstart_output/model \\
        "Returns the [MASK] of the first match."

or, with a released model:

    python run_scripts/fill_mask.py --model=bert_base_uncased < sentences.txt

A model's files can also be given one by one, with --bert_config_file, --vocab_file,
--init_checkpoint and --do_lower_case.

For each sentence, prints the most probable word pieces for each [MASK] with their probabilities,
and the sentence with the first of them. If the command line has no sentences, they are read from
standard input, one per line. Takes a few seconds, most of them to load TensorFlow.
"""

import sys

import command_line
from absl import flags

from bert_tf.files.paths import exists, join_path

FLAGS = flags.FLAGS

command_line.define_model_flag()
flags.DEFINE_string(
    "model_dir",
    None,
    "An output folder of run_pretraining.py. Its bert_config.json, newest checkpoint and, if there "
    "is one, vocab.txt are used unless other flags name these files.",
)
flags.DEFINE_string("bert_config_file", None, "The model's bert_config.json.")
flags.DEFINE_string("vocab_file", None, "The vocabulary that the model was trained with.")
flags.DEFINE_string("init_checkpoint", None, "The model's weights.")
flags.DEFINE_bool("do_lower_case", True, "Whether the model was trained on lower-cased text.")
flags.DEFINE_integer("top_k", 5, "Number of word pieces to print per [MASK].", lower_bound=1)
flags.DEFINE_bool(
    "untrained",
    False,
    "Keep the random initial weights instead of loading a checkpoint, for comparison.",
)
flags.adopt_module_key_flags(command_line)


def main(arguments: list[str]) -> None:
    sentences = arguments[1:] or [line.strip() for line in sys.stdin if line.strip()]
    if not sentences:
        raise ValueError("Give sentences with [MASK], as arguments or on standard input.")

    command_line.load_tensorflow()
    from bert_tf.inference.load_model import load_model, need_head
    from bert_tf.kinds.masked_lm import MaskFiller
    from bert_tf.kinds.table import MASKED_LM
    from bert_tf.released.find_model import ModelFiles

    loaded = load_model(ModelFiles(**model_files()), "masked_lm" if FLAGS.untrained else "")
    need_head(loaded, MASKED_LM, "masked-LM")
    filler = MaskFiller(loaded, top_k=FLAGS.top_k)
    for filled in filler.predict([(sentence,) for sentence in sentences]):
        print(f"\n{filled.text}")
        for candidates in filled.candidates:
            print("   ", "  ".join(f"{c.token} {c.probability:.1%}" for c in candidates))
        print(f"    -> {filled.best}")


def model_files() -> dict:
    """Returns the fields of `ModelFiles`, from --model_dir or --model and other flags."""
    if FLAGS.model and FLAGS.model_dir:
        raise ValueError("--model and --model_dir: only one of them is needed.")
    files = files_of_model(FLAGS.model_dir) if FLAGS.model_dir else {}
    names = ("bert_config_file", "vocab_file", "init_checkpoint")
    files |= {name: getattr(FLAGS, name) for name in names if getattr(FLAGS, name)}
    files |= {"do_lower_case": FLAGS.do_lower_case, **command_line.model_values()}
    for name in names:
        if name not in files and not (name == "init_checkpoint" and FLAGS.untrained):
            raise ValueError(f"--{name} is needed, or a --model_dir with such a file, or --model.")
    if FLAGS.untrained:
        files["init_checkpoint"] = ""
    return files


def files_of_model(model_dir: str) -> dict[str, str]:
    """Returns the files of a pre-training output directory; the newest checkpoint is used."""
    config_file, vocab_file = (join_path(model_dir, n) for n in ("bert_config.json", "vocab.txt"))
    files = {"bert_config_file": config_file, "init_checkpoint": model_dir}
    return {**files, "vocab_file": vocab_file} if exists(vocab_file) else files


if __name__ == "__main__":
    command_line.run(main, takes_words=True)
