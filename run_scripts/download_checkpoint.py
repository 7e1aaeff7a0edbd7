"""Downloads a model that google-research/bert released, and verifies it.

    python run_scripts/download_checkpoint.py --list
    python run_scripts/download_checkpoint.py --model=bert_base_uncased

Prints the model's folder, in the cache ($BERT_TF_CACHE, else ~/.cache/bert_tf); a model that is
there already needs no network. Broken off or killed, the same command goes on where it was. Every
script takes such a name as --model, and downloads it as this one does.

`--list --model=bert_base_uncased` shows all that was published about a model. BERT-Base is
about 400 MB, BERT-Large 1.2 GB, BERT-Tiny 16 MB. See docs/models.md.
"""

import sys

import command_line
from absl import flags

from bert_tf.released.models import RELEASED_MODELS, ReleasedModel, find_released_model

FLAGS = flags.FLAGS

flags.DEFINE_list("model", [], "Names of models, with commas between them; see --list.")
flags.DEFINE_bool(
    "list", False, "Print the table of models, or what is known of --model, and download nothing."
)
flags.DEFINE_string(
    "cache_dir", None, "Where models are kept; $BERT_TF_CACHE or ~/.cache/bert_tf if not given."
)
flags.DEFINE_string(
    "mirror",
    None,
    "A web address below which the zips lie as they do at the release; $BERT_TF_MIRROR, or the "
    "release itself, if not given.",
)
flags.DEFINE_float(
    "stall_seconds", 60.0, "Seconds without a byte after which to connect anew.", lower_bound=0.1
)
flags.DEFINE_integer(
    "attempts", 5, "Attempts in a row without a byte after which to give up.", lower_bound=1
)

_COLUMNS = ("name", "layers", "width", "heads", "vocabulary", "parameters", "text", "licence")


def main(_: list[str]) -> None:
    if FLAGS.list and not FLAGS.model:
        print("\n".join(table(RELEASED_MODELS)))
        return
    if not FLAGS.model:
        raise ValueError("--model is needed; --list prints the names.")
    models = [find_released_model(name) for name in FLAGS.model]
    if FLAGS.list:
        for model in models:
            print("\n".join([*table([model]), *details(model)]))
        return
    command_line.load_tensorflow()
    from bert_tf.released.download import DownloadOptions, download_model
    from bert_tf.released.transfer import Patience

    patience = Patience(stall_seconds=FLAGS.stall_seconds, attempts=FLAGS.attempts)
    options = DownloadOptions(FLAGS.cache_dir, FLAGS.mirror, sys.stderr, patience)
    for model in models:
        print(download_model(model.name, options))


def table(models: list[ReleasedModel]) -> list[str]:
    """Lines with a column for each part of a model's shape, and its first published score."""
    rows = [(*_COLUMNS, "a published score")]
    for model in models:
        shape = (model.num_hidden_layers, model.hidden_size, model.num_attention_heads)
        first = f"{model.scores[0].task} {model.scores[0].value}" if model.scores else ""
        rows.append(
            (
                *(", ".join((model.name, *model.aliases)), *(str(number) for number in shape)),
                *(f"{model.vocab_size:,}", f"{model.num_parameters:,}"),
                *("lower-cased" if model.do_lower_case else "cased", model.licence, first),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_aligned, row, widths)).rstrip() for row in rows]


def details(model: ReleasedModel) -> list[str]:
    """Where a model was released, and its published scores."""
    lines = ["", f"    {model.url}", f"    or --model={model.folder}"]
    for score in model.scores:
        lines.append(f"    {score.task:<24} {score.value:<12} {score.source}")
    return [*lines, ""]


def _aligned(text: str, width: int) -> str:
    is_number = text.replace(",", "").isdigit()
    return text.rjust(width) if is_number else text.ljust(width)


if __name__ == "__main__":
    command_line.run(main)
