"""Downloads and verifies a released model: a BERT of google-research, or a successor.

    python run_scripts/download_checkpoint.py --list
    python run_scripts/download_checkpoint.py --model=bert_base_uncased

Prints the model's folder in the cache ($BERT_TF_CACHE or ~/.cache/bert_tf); a model that is already
there needs no network. After an interruption the same command resumes the download. All scripts
accept these names as --model, and download the model if need be.

`--list --model=bert_base_uncased` shows the published scores of a model. BERT-Base is about 400 MB,
BERT-Large 1.2 GB, BERT-Tiny 16 MB. See docs/models.md.
"""

import sys

import command_line
from absl import flags

from bert_tf.released.models import all_released_models, find_released_model
from bert_tf.released.released_model import ReleasedModel

FLAGS = flags.FLAGS

flags.DEFINE_list("model", [], "Names of models, separated by commas; see --list.")
flags.DEFINE_bool(
    "list", False, "Print the table of models, or the details of --model, and download nothing."
)
flags.DEFINE_string(
    "cache_dir", None, "The folder for models. Default: $BERT_TF_CACHE or ~/.cache/bert_tf."
)
flags.DEFINE_string(
    "mirror",
    None,
    "The URL of a mirror with the same paths as the release. Default: $BERT_TF_MIRROR, or the "
    "release itself.",
)
flags.DEFINE_float(
    "stall_seconds", 60.0, "Reconnect after so many seconds without data.", lower_bound=0.1
)
flags.DEFINE_integer(
    "attempts", 5, "Give up after so many attempts in a row without data.", lower_bound=1
)

_COLUMNS = ("name", "layers", "width", "heads", "vocabulary", "parameters", "text", "licence")


def main(_: list[str]) -> None:
    if FLAGS.list and not FLAGS.model:
        print("\n".join(table(all_released_models())))
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

    options = DownloadOptions(
        FLAGS.cache_dir,
        FLAGS.mirror,
        sys.stderr,
        stall_seconds=FLAGS.stall_seconds,
        attempts=FLAGS.attempts,
    )
    for model in models:
        print(download_model(model.name, options))


def table(models: list[ReleasedModel]) -> list[str]:
    """Returns the lines of a table: name, shape, size, and first published score of each model."""
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
    """Returns lines with the URL and the published scores of a model."""
    lines = ["", f"    {model.url}", f"    or --model={model.folder}"]
    for score in model.scores:
        lines.append(f"    {score.task:<24} {score.value:<12} {score.source}")
    return [*lines, ""]


def _aligned(text: str, width: int) -> str:
    is_number = text.replace(",", "").isdigit()
    return text.rjust(width) if is_number else text.ljust(width)


if __name__ == "__main__":
    command_line.run(main)
