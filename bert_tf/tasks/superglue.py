"""Defines the tasks of SuperGLUE, read from its JSON lines: `--task=superglue:boolq`.

    boolq   cb   copa   multirc   record   rte   wic   wsc   and the diagnostic sets   axb   axg

`superglue_inputs.py` makes texts of the objects in the files. axb and axg are evaluated and
predicted with a model of rte. A question of multirc may have several right answers: each answer is
an example. So is each entity for a query of record, whose answer is the most probable one.

Source: Wang et al. (2019), "SuperGLUE"; https://super.gluebenchmark.com.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from bert_tf import files
from bert_tf.metrics import classification, superglue
from bert_tf.settings.setting import setting
from bert_tf.spans.long_texts import LongTextOptions
from bert_tf.tasks.choice import MultipleChoice
from bert_tf.tasks.classification import TextClassification, check_labels
from bert_tf.tasks.json_items import read_json_lines
from bert_tf.tasks.superglue_inputs import READERS, Candidate
from bert_tf.tasks.task import Task, find_file, write_files
from bert_tf.tasks.text_examples import TextAnswer, original_split

_BOOLEAN = ("false", "true")
_ENTAILMENT = ("entailment", "not_entailment")
_NUMBERED = ("0", "1")


@dataclasses.dataclass(frozen=True)
class Options(LongTextOptions):
    """The options of a SuperGLUE task."""

    data_dir: str = setting(
        "",
        "Folder with the task's files (train.jsonl, ...), or with the folders of all tasks (BoolQ, "
        "...).",
    )


_Candidates = Sequence[Candidate]
_Answers = Sequence[TextAnswer]


@dataclasses.dataclass(frozen=True)
class SuperGlueFiles:
    """Reads the official files of a task."""

    variant: str
    data_dir: str

    def splits(self, purpose: str) -> tuple[str, ...]:
        if purpose == "train" and self._corpus.is_diagnostic:
            raise ValueError(
                f"superglue:{self.variant} has no training examples. Fine-tune superglue:rte, and "
                f"evaluate and predict with its checkpoint."
            )
        self.sources(purpose)
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        corpus = self._corpus
        names = {"train": "train.jsonl", "eval": "val.jsonl", "predict": "test.jsonl"}
        name = f"{corpus.folder}.jsonl" if corpus.is_diagnostic else names[split]
        folders = (self.data_dir, files.join_path(self.data_dir, corpus.folder))
        path = next(filter(None, (find_file(folder, name) for folder in folders)), None)
        if path is None:
            raise ValueError(
                f"superglue:{self.variant} needs {name} for {split!r} (optionally gzipped, with "
                f".gz after the name) in the folder data_dir, or in its subfolder {corpus.folder}. "
                f"Received: {self.data_dir!r}"
            )
        return [path]

    def read(self, split: str) -> list[Any]:
        (path,) = self.sources(split)
        examples = [each for item in read_json_lines(path) for each in READERS[self.variant](item)]
        prefix = original_split(split)
        examples = [
            dataclasses.replace(each, guid="-".join((prefix, *map(str, each.idx))))
            if isinstance(each, Candidate)
            else dataclasses.replace(each, guid=f"{prefix}-{each.guid}")
            for each in examples
        ]
        places: dict[str, str] = {}
        for each in examples:
            if each.guid in places:
                idx = each.guid.removeprefix(f"{prefix}-")
                raise ValueError(
                    f"{each.where}: the idx {idx} was already at {places[each.guid]}. Each must "
                    f"differ, as predictions are told apart by it."
                )
            places[each.guid] = each.where
        return examples

    @property
    def _corpus(self) -> "_Corpus":
        return _CORPORA[self.variant]


class SuperGlueClassification(TextClassification):
    """Classifies texts, or the candidate answers to a question."""

    class_metrics = ("accuracy", "f1", "matthews", "score", "f1a", "em", "f1m", "gender_parity")

    @property
    def variant(self) -> str:
        return self.name.partition(":")[2]

    def score(self, examples: _Candidates, answers: _Answers) -> dict[str, float]:
        """Returns the official metrics, as fractions; none if an example has no label."""
        known = self.variant != "record" or all(each.answers for each in examples)
        if not examples or not known or any(each.label is None for each in examples):
            return {}
        return _CORPORA[self.variant].score(examples, answers)

    def fold_group(self, example: Candidate) -> int | None:
        """Returns the passage of a candidate answer, as a question's are scored together."""
        return example.idx[0] if len(example.idx) > 1 else None

    def is_collapsed(self, examples: _Candidates, answers: _Answers) -> bool:
        if self.variant == "record":  # All may rightly be 0, as the best of a query is chosen.
            return len({answer.probabilities[1] for answer in answers}) == 1
        return super().is_collapsed(examples, answers)

    def write(self, split: str, examples: _Candidates, answers: _Answers, folder: str) -> list[str]:
        """Writes what every classification writes, and the official file in `submission/`."""
        corpus = _CORPORA[self.variant]
        lines = corpus.submit(examples, answers)
        return super().write(split, examples, answers, folder) + _submit(corpus, lines, folder)


class PlausibleAlternatives(MultipleChoice):
    """COPA: which of two sentences is the cause or effect of a premise."""

    def write(self, split: str, examples, answers, folder: str) -> list[str]:
        """Writes what every multiple choice writes, and the official file in `submission/`."""
        pairs = zip(examples, answers, strict=True)
        lines = [
            {"idx": int(each.guid.rpartition("-")[2]), "label": answer.index}
            for each, answer in pairs
        ]
        paths = super().write(split, examples, answers, folder)
        return paths + _submit(_CORPORA["copa"], lines, folder)


def make(variant: str, options: Options, labels: tuple[str, ...] | None) -> Task:
    """Makes the task of a variant; a trained model's labels may be in any order."""
    corpus, name = _CORPORA[variant], f"superglue:{variant}"
    reader = SuperGlueFiles(variant, options.data_dir)
    if variant == "copa":
        if options.long_texts != "truncate":
            raise ValueError("superglue:copa has short texts: leave out long_texts=windows.")
        return PlausibleAlternatives(name, options, reader)
    check_labels(name, corpus.labels, labels)
    return SuperGlueClassification(
        name=name,
        options=options,
        labels=labels or corpus.labels,
        reader=reader,
        metrics=corpus.metrics,
        metric=corpus.metrics[0],
        positive_label=corpus.labels[-1],
        default_seq_length=corpus.max_seq_length,
        is_pair=variant != "wsc",
    )


# The metrics of each task.


def _labels(examples: _Candidates, answers: _Answers) -> tuple[list[str], list[str]]:
    return [each.label for each in examples], [answer.label for answer in answers]


def _score_accuracy(examples: _Candidates, answers: _Answers) -> dict[str, float]:
    return {"accuracy": classification.accuracy(*_labels(examples, answers))}


def _score_axb(examples: _Candidates, answers: _Answers) -> dict[str, float]:
    matthews = classification.matthews(*_labels(examples, answers))
    return {"matthews": matthews, **_score_accuracy(examples, answers)}


def _score_cb(examples: _Candidates, answers: _Answers) -> dict[str, float]:
    return superglue.commitment_bank(*_labels(examples, answers), _CORPORA["cb"].labels)


def _score_multirc(examples: _Candidates, answers: _Answers) -> dict[str, float]:
    questions = [each.idx[:2] for each in examples]
    return superglue.multirc(*_labels(examples, answers), questions, positive="1")


def _score_record(examples: _Candidates, answers: _Answers) -> dict[str, float]:
    best = _best_entities(examples, answers)
    correct = {each.idx[:2]: each.answers for each in examples}
    return superglue.record([correct[query] for query in best], list(best.values()))


def _score_axg(examples: _Candidates, answers: _Answers) -> dict[str, float]:
    parity = superglue.gender_parity([answer.label for answer in answers])
    return {**_score_accuracy(examples, answers), "gender_parity": parity}


def _best_entities(examples: _Candidates, answers: _Answers) -> dict[tuple[int, ...], str]:
    """Returns the most probable entity of each query."""
    best: dict[tuple[int, ...], tuple[float, str]] = {}
    for each, answer in zip(examples, answers, strict=True):
        probability = float(answer.probabilities[1])
        if each.idx[:2] not in best or probability > best[each.idx[:2]][0]:
            best[each.idx[:2]] = probability, each.entity
    return {query: entity for query, (_, entity) in best.items()}


# The lines of each task's official prediction file.

_Lines = list[dict[str, Any]]


def _submit(corpus: "_Corpus", lines: _Lines, folder: str) -> list[str]:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return write_files(folder, {f"submission/{corpus.folder}.jsonl": text})


def _submit_labels(examples: _Candidates, answers: _Answers) -> _Lines:
    pairs = zip(examples, answers, strict=True)
    return [{"idx": each.idx[0], "label": answer.label} for each, answer in pairs]


def _submit_wsc(examples: _Candidates, answers: _Answers) -> _Lines:
    lines = _submit_labels(examples, answers)  # The server wants capitals here alone.
    return [{**line, "label": line["label"].capitalize()} for line in lines]


def _submit_multirc(examples: _Candidates, answers: _Answers) -> _Lines:
    passages: dict[int, dict[int, _Lines]] = {}
    for each, answer in zip(examples, answers, strict=True):
        passage, question, number = each.idx
        found = {"idx": number, "label": int(answer.label)}
        passages.setdefault(passage, {}).setdefault(question, []).append(found)
    return [
        {
            "idx": passage,
            "passage": {"questions": [{"idx": i, "answers": a} for i, a in of.items()]},
        }
        for passage, of in passages.items()
    ]


def _submit_record(examples: _Candidates, answers: _Answers) -> _Lines:
    best = _best_entities(examples, answers)
    return [{"idx": query, "label": entity} for (_, query), entity in best.items()]


@dataclasses.dataclass(frozen=True)
class _Corpus:
    folder: str  # The official name of its folder and of the file to submit.
    labels: tuple[str, ...]
    metrics: tuple[str, ...]  # The first one selects the model.
    score: Callable[[_Candidates, _Answers], dict[str, float]] = _score_accuracy
    submit: Callable[[_Candidates, _Answers], _Lines] = _submit_labels
    max_seq_length: int = 256  # jiant's.
    is_diagnostic: bool = False


_CB = ("contradiction", "entailment", "neutral")
_ACCURACY = ("accuracy",)

# fmt: off
_CORPORA = {
    "boolq": _Corpus("BoolQ", _BOOLEAN, _ACCURACY),
    "cb": _Corpus("CB", _CB, ("score", "accuracy", "f1"), _score_cb),
    "copa": _Corpus("COPA", (), _ACCURACY),
    # Their passages are longer than jiant's 256 tokens.
    "multirc": _Corpus("MultiRC", _NUMBERED, ("score", "f1a", "em", "f1m"),
                       _score_multirc, _submit_multirc, max_seq_length=512),
    "record": _Corpus("ReCoRD", _NUMBERED, ("score", "f1", "em"),
                      _score_record, _submit_record, max_seq_length=512),
    "rte": _Corpus("RTE", _ENTAILMENT, _ACCURACY),
    "wic": _Corpus("WiC", _BOOLEAN, _ACCURACY),
    "wsc": _Corpus("WSC", _BOOLEAN, _ACCURACY, submit=_submit_wsc),
    "axb": _Corpus("AX-b", _ENTAILMENT,
                   ("matthews", "accuracy"), _score_axb,
                   is_diagnostic=True),
    "axg": _Corpus("AX-g", _ENTAILMENT, ("accuracy", "gender_parity"), _score_axg,
                   is_diagnostic=True),
}
# fmt: on
VARIANTS = tuple(_CORPORA)
