"""Converts a model to another format, reports what is lost, and checks the result by running it.

read ── average ── part ── layers ── vocabulary ── strip ── fill ── pad ──┐
                                                                          v
                  rename <── run both <── task.json <── write to a temporary folder
                                │
                                └──> the folder is removed if they differ
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bert_tf import files
from bert_tf.conversion.check import check_conversion
from bert_tf.conversion.electra import take_part
from bert_tf.conversion.vocabulary import change_vocabulary
from bert_tf.conversion.weights import average, fill, keep_layers, needed_shapes, pad, without
from bert_tf.formats import google, huggingface, names
from bert_tf.formats.source import Head, PretrainedModel, folders_of, read_pretrained
from bert_tf.kinds.pooling import Pooling
from bert_tf.kinds.table import MASKED_LM, NEXT_SENTENCE, SPAN, find_kind, heads_in
from bert_tf.released.download import unpack_archive
from bert_tf.released.find_model import is_zip, local_path
from bert_tf.released.model_folder import (
    TASK_NAME,
    ModelDescription,
    description_beside,
    description_of,
    needs_description,
    write_description,
)
from bert_tf.settings import ConversionSettings
from bert_tf.training.checkpoint import OPTIMIZER_STATE
from bert_tf.training.model_card import write_model_card

_WRITERS = {"google": google, "huggingface": huggingface}
# Prefix of a weight's name -> its group in the report.
_GROUPS = {
    "bert/embeddings/": "embeddings",
    "electra/embeddings": "embeddings",
    "electra/encoder/": "layers",
    "generator": "generator",
    "discriminator_predictions/": "discriminator",
    "bert/encoder/": "layers",
    "bert/pooler/": "pooler",
    MASKED_LM: "masked LM",
    NEXT_SENTENCE: "next sentence",
    SPAN: "span",
    "output_": "classifier",
}
_OPTIMIZER = "optimizer state"
# State of other libraries' optimizers, which may be dropped without permission.
_OTHER_STATE = re.compile(r"(^|/)optimizer/")


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """Holds what was converted and what was lost."""

    settings: ConversionSettings
    written: PretrainedModel
    dropped: Mapping[str, str]  # Weights that were not written -> reasons.
    missing: Mapping[str, str]  # Weights that the model lacks -> consequences.
    check: str  # The result of the comparison.

    def lines(self) -> list[str]:
        """Returns the report's lines."""
        settings, model = self.settings, self.written
        counts = _count_groups(model.weights)
        groups = ", ".join(f"{name} {count}" for name, count in counts.items())
        return [
            f"{model.path} ({model.format}) -> {settings.output_dir} ({settings.to})",
            f"mapped: {len(model.weights)} ({groups})",
            *_listed("dropped", {**model.redundant, **self.dropped}),
            *_listed("missing", self.missing),
            *(f"note: {note}" for note in _notes(model, settings)),
            f"verified: {self.check}",
        ]


def convert(settings: ConversionSettings) -> ConversionReport:
    """Converts a model and compares the outputs of both.

    Raises a ValueError, and writes nothing, if the model cannot be read, weights would be lost or
    are missing (unless `allow_missing` is set), the outputs differ, or another process writes to
    the folder.
    """
    writer = _WRITERS[settings.to]
    with files.hold_folder(settings.output_dir):
        files.check_free(settings.output_dir, [writer.CONFIG_NAME], settings.overwrite)
        model, description = _with_description(_read(settings))
        if settings.part:
            model = take_part(model, settings.part)
        if settings.num_layers:
            model = keep_layers(model, settings.num_layers)
        model = change_vocabulary(model, settings)
        model, dropped = _reduced(model, settings)
        is_changed = settings.num_layers or settings.changes_vocabulary
        is_whole = not is_changed and set(needed_shapes(model)) <= set(model.weights)
        model, missing = _completed(model, settings)
        written = pad(model, settings.padded_vocab_size or model.config.vocab_size)
        with files.new_files(settings.output_dir, settings.overwrite) as folder:
            writer.write(written, folder)
            inputs: tuple[str, ...] = ()
            if settings.to == "google" and needs_description(model):
                description = description or description_of(model, settings.inputs)
                write_description(folder, description)
                inputs = description.inputs
            # Other formats do not store the names of a classifier's texts.
            _write_card(folder, written, settings, inputs or find_kind(model.head.kind).inputs[0])
            check = check_conversion(model, folder, settings.to, is_whole)
        return ConversionReport(settings, written, dropped, missing, check)


def _write_card(
    folder: str, model: PretrainedModel, settings: ConversionSettings, inputs: Sequence[str]
) -> None:
    """Writes README.md, unless there is one, with the metrics of the model before conversion."""
    if files.exists(files.join_path(settings.output_dir, "README.md")):
        return
    made = [f"Converted from {settings.source} ({model.format}) by convert_checkpoint.py."]
    write_model_card(
        folder,
        model.config,
        [*made, *(f"Note: {note}" for note in model.notes)],
        model.tokenizer.do_lower_case,
        *(model.head.kind, model.head.labels, inputs),
        results_folder=folders_of(model.path)[-1],
        name=settings.output_dir,
    )


def _read(settings: ConversionSettings) -> PretrainedModel:
    source = settings.source
    if settings.average_last:
        return average(source, settings.average_last)
    return read_pretrained(unpack_archive(source) if is_zip(source) else local_path(source))


def _with_description(model: PretrainedModel) -> tuple[PretrainedModel, ModelDescription | None]:
    """Returns the model with the kind, labels and case in any `task.json`, and the description."""
    # Only this package writes the file.
    description = description_beside(model.path) if model.format == "google" else None
    if description is None:
        return model, None
    labels = description.labels
    rows = len(model.weights.get("output_bias", labels))
    if labels and len(labels) != rows:
        raise ValueError(
            f"{model.path}: its classifier has {rows} rows, but {TASK_NAME} beside it names "
            f"{len(labels)} labels: {files.some(labels)}"
        )
    tokenizer = dataclasses.replace(
        model.tokenizer,
        do_lower_case=description.do_lower_case,
        strip_accents=description.strip_accents,
    )
    head = Head(description.kind, labels)
    known = {field.name for field in dataclasses.fields(Pooling)}
    options = {n: v for n, v in description.options.items() if n in known}
    replaced = dataclasses.replace(
        model,
        head=head,
        tokenizer=tokenizer,
        options=options if description.kind == "encoder" else {},
        max_seq_length=description.max_seq_length,
    )
    return replaced, description


def _reduced(
    model: PretrainedModel, settings: ConversionSettings
) -> tuple[PretrainedModel, dict[str, str]]:
    """Returns the model without the weights to drop, and those with the reasons."""
    keeps_state = settings.to == "google" and settings.keep_optimizer
    keeps_state &= not settings.changes_vocabulary  # Moments of other rows.
    state = [n for n in model.weights if OPTIMIZER_STATE.search(n) and not keeps_state]
    model = without(model, state)
    left = _WRITERS[settings.to].without_place(model)
    dropped = {**model.dropped, **left}
    lost = {name: reason for name, reason in dropped.items() if not _OTHER_STATE.search(name)}
    if lost and not settings.allow_missing:
        notes = [f"note: {note}" for note in model.notes]
        lines = "\n".join([*_listed("would be lost", lost), *notes])
        raise ValueError(
            f"{model.path}: {settings.to}'s format has no place for some weights.\n{lines}\n"
            "To convert without them, give --allow_missing."
        )
    return without(model, left), {**dropped, **dict.fromkeys(state, _OPTIMIZER)}


def _completed(
    model: PretrainedModel, settings: ConversionSettings
) -> tuple[PretrainedModel, dict[str, str]]:
    """Returns the model with missing weights initialized, if allowed, and their names."""
    needed = needed_shapes(model)
    lacking = {name: shape for name, shape in needed.items() if name not in model.weights}
    if lacking and not settings.allow_missing:
        raise ValueError(
            f"{model.path}: {len(lacking)} weights that its head {model.head.kind!r} needs are "
            f"missing: {files.some(lacking)}. To initialize them, give --allow_missing."
        )
    missing = dict.fromkeys(lacking, "gets its initial value")
    shapes = names.weight_shapes(model.config)
    pooler = [n for n in names.POOLER if n in shapes and not (n in needed or n in model.weights)]
    if pooler and settings.to == "google" and settings.allow_missing:
        missing |= dict.fromkeys(pooler, "gets its initial value; no output needs it")
        lacking |= {name: shapes[name] for name in pooler}
    else:
        missing |= dict.fromkeys(pooler, "no output needs it; --allow_missing initializes it")
    model = fill(model, lacking)
    if model.head.kind == "masked_lm":
        absent = {MASKED_LM, NEXT_SENTENCE} - set(heads_in(model.weights))
        missing |= {f"{head}*": f"no {_GROUPS[head]} head" for head in sorted(absent)}
    return model, missing


def _notes(model: PretrainedModel, settings: ConversionSettings) -> Iterator[str]:
    yield from model.notes
    if settings.average_last:
        yield f"the weights are the mean of the {settings.average_last} newest checkpoints."
    if settings.to == "google" and model.config.hidden_act == "gelu_erf":
        yield (
            "hidden_act is gelu_erf, the exact form, which the original does not know. To use the "
            "weights with it, change it to gelu: this tanh form differs by up to 5e-4 in each gelu."
        )
    if model.tokenizer.vocab is None:
        yield "there was no vocabulary beside the weights; put vocab.txt there."
    elif model.tokenizer.do_lower_case is None:
        yield "the files do not say whether text is lower-cased; give --do_lower_case to programs."


def _count_groups(weights: Iterable[str]) -> dict[str, int]:
    counts = dict.fromkeys([*_GROUPS.values(), "other", _OPTIMIZER], 0)
    for name in weights:
        group = next((g for start, g in _GROUPS.items() if name.startswith(start)), "other")
        counts[_OPTIMIZER if OPTIMIZER_STATE.search(name) else group] += 1
    return {group: count for group, count in counts.items() if count}


def _listed(title: str, reasons: Mapping[str, str]) -> list[str]:
    if not reasons:
        return [f"{title}: nothing"]
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    return [
        f"{title}: {len(listed)} ({reason}): {files.some(sorted(listed), listed=4)}"
        for reason, listed in by_reason.items()
    ]
