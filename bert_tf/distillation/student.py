"""Gives a student the weights of its teacher: every so many layers, and all else by name."""

import dataclasses

from bert_tf import files
from bert_tf.distillation.layers import layers_to_start_from
from bert_tf.model.heads import HeadModel
from bert_tf.training.checkpoint import named_variables


@dataclasses.dataclass(frozen=True)
class CopyReport:
    """Says what `copy_weights` copied."""

    layers: tuple[int, ...]  # The teacher's layer that each layer of the student has, from 0.
    num_copied: int
    missing: tuple[str, ...]  # Weights that the teacher lacks; they keep their values.

    def __str__(self) -> str:
        layers = ", ".join(map(str, self.layers))
        parts = [f"{self.num_copied} weights of the teacher copied, of its layers {layers}"]
        if self.missing:
            parts.append(f"{len(self.missing)} missing ({files.some(self.missing)})")
        return ", ".join(parts)


def copy_weights(student: HeadModel, teacher: HeadModel) -> CopyReport:
    """Assigns a teacher's weights to a student; the layers are those of `layers_to_start_from`.

    Raises a ValueError, and changes nothing, if the student has more layers or other widths.
    """
    names = _names_in_teacher(student, teacher)
    ours, theirs = named_variables(student), named_variables(teacher)
    shapes = {
        n: (list(ours[n].shape), list(theirs[s].shape)) for n, s in names.items() if s in theirs
    }
    wrong = [f"{n} is {own}, the teacher's {its}" for n, (own, its) in shapes.items() if own != its]
    if wrong:
        raise ValueError(
            f"--init_from_teacher needs a student of the teacher's widths; it may have fewer "
            f"layers. {len(wrong)} weights have other shapes: {files.some(wrong)}."
        )
    for name, source in names.items():
        if source in theirs:
            ours[name].assign(theirs[source])
    layers = layers_to_start_from(student.encoder.num_layers, teacher.encoder.num_layers)
    missing = tuple(name for name, source in names.items() if source not in theirs)
    return CopyReport(layers, len(names) - len(missing), missing)


def _names_in_teacher(student: HeadModel, teacher: HeadModel) -> dict[str, str]:
    """Returns the name of the teacher's weight for each of the student's."""
    ours, theirs = student.encoder, teacher.encoder
    numbers = layers_to_start_from(ours.num_layers, theirs.num_layers)
    prefixes = {ours.layer_prefix(i): theirs.layer_prefix(n) for i, n in enumerate(numbers)}
    prefixes[ours.prefix] = theirs.prefix  # Of all else in the encoder.
    names = {}
    for name in named_variables(student):
        prefix = next(filter(name.startswith, prefixes), "")
        names[name] = prefixes.get(prefix, "") + name.removeprefix(prefix)
    return names
