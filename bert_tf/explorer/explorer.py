"""Explorer: describes a model to the page, answers its panels, and saves answers as pages."""

import os
import threading
from typing import Any

from bert_tf import files
from bert_tf.explorer.page import saved_page
from bert_tf.explorer.panels import MAX_CHARACTERS, Panel, panels_of
from bert_tf.inference.predictor import Predictor
from bert_tf.settings import ExploreSettings
from bert_tf.version import __version__

# Answers that are computed at the same time; others wait.
_AT_ONCE = 2


class Explorer:
    """Answers what the page asks. It is thread-safe.

    Raises a ValueError if there is no such model, or the page has no panel for it.
    """

    def __init__(self, predictor: Predictor, name: str):
        self.predictor = predictor
        self.panels: dict[str, Panel] = {panel.name: panel for panel in panels_of(predictor)}
        if not self.panels:
            raise ValueError(
                f"{name}: the page has nothing to show of a model for this: {predictor.kind}"
            )
        self._name = name
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    @classmethod
    def of_settings(cls, settings: ExploreSettings) -> "Explorer":
        predictor = Predictor(
            settings.model,
            kind=settings.kind or None,
            max_seq_length=settings.max_seq_length or None,
            do_lower_case=settings.do_lower_case,
        )
        # Not the whole path, as a saved page may go to others.
        return cls(predictor, os.path.basename(settings.model.rstrip("/")) or settings.model)

    @property
    def description(self) -> dict[str, Any]:
        """What the page says of the model, and the panels that it shows, as JSON."""
        predictor = self.predictor
        facts = [f"at most {predictor.max_seq_length} tokens"]
        if predictor.labels:
            facts.insert(0, f"{len(predictor.labels)} classes")
        return {
            "name": self._name,
            "version": __version__,
            "kind": predictor.kind,
            "facts": facts,
            "mask_token": predictor.mask_token,
            "max_characters": MAX_CHARACTERS,
            "panels": [self._described(panel) for panel in self.panels.values()],
        }

    def _described(self, panel: Panel) -> dict[str, Any]:
        fields = [
            {"name": f.name, "label": f.label, "example": f.example, "rows": f.rows}
            for f in panel.fields_of(self.predictor)
        ]
        texts = {"name": panel.name, "title": panel.title, "about": panel.about}
        return {**texts, "slow_input": panel.slow_input, "fields": fields}

    def answer(self, panel: str, inputs: Any) -> dict[str, Any]:
        """Returns what a panel shows for its texts, by the names of its fields, as JSON.

        Raises a ValueError if there is no such panel, or the model cannot answer these texts.
        """
        if panel not in self.panels:
            raise ValueError(
                f"This model has the panels {', '.join(self.panels)}. Received: {panel!r:.200}"
            )
        found = self.panels[panel]
        texts = found.checked(self.predictor, inputs)
        with self._turns:
            return found.answer(self.predictor, texts)

    def saved(self, panel: str, inputs: Any) -> str:
        """Returns a page that shows one answer by itself, see `answer`."""
        answer = self.answer(panel, inputs)
        description = self.description
        description["panels"] = [self._described(self.panels[panel])]
        return saved_page(
            {"model": description, "panel": panel, "inputs": inputs, "answer": answer}
        )


def export_page(settings: ExploreSettings) -> str:
    """Writes the page that `settings.export` names. Returns the name of its panel.

    Raises a ValueError as `Explorer.answer` does.
    """
    explorer = Explorer.of_settings(settings)
    panel = explorer.panels.get(settings.panel or next(iter(explorer.panels)))
    if panel is None:
        raise ValueError(
            f"--panel must be one of {', '.join(explorer.panels)}, which this model has. Received: "
            f"{settings.panel!r}"
        )
    names = [field.name for field in panel.fields_of(explorer.predictor)]
    texts = [settings.text, settings.second_text]
    if len(names) == 1 and settings.second_text:
        raise ValueError(f"--second_text: {panel.title} takes one text, --text.")
    inputs = dict(zip(names, texts, strict=False))
    if panel.slow_input:
        inputs[panel.slow_input] = settings.label
    elif settings.label:
        raise ValueError(f"--label is of the panel classification. Received: {panel.name}")
    page = explorer.saved(panel.name, inputs)
    with files.atomic_write(settings.export) as file:
        file.write(page.encode("utf-8"))
    return panel.name
