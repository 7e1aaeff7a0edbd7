"""The data sets and texts that pages of the documentation name, a few rows of each."""

import bz2
import csv
import gzip
import itertools
import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

_GOOD, _BAD = ("good", "fine", "great"), ("bad", "poor", "dull")
_SIZES = {"train": 48, "dev": 8, "test": 6}
_LANGUAGES = (
    *("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
)


def write_data(folder: Path, text: str) -> None:
    """Writes all of it.

    Args:
        text: what to pre-train on; lines, with blank ones between documents.
    """
    for write in (_write_texts, _write_dumps):
        write(folder, text)
    for write in (_write_glue, _write_tables, _write_questions, _write_choices, _write_superglue):
        write(folder)
    for write in (_write_entities, _write_roles, _write_coreference, _write_trec):
        write(folder)


def review(label: str, rng: random.Random) -> str:
    return f"the film was {rng.choice(_GOOD if label == '1' else _BAD)}"


def _rows(split: str, make: Callable[[str, random.Random], Sequence[str]]) -> Iterable[list[str]]:
    """A split's rows, each made for one of the labels 0 and 1."""
    rng = random.Random(split)
    return [list(make("01"[n % 2], rng)) for n in range(_SIZES[split])]


def _save(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def _save_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        quoting = csv.QUOTE_MINIMAL if path.suffix == ".csv" else csv.QUOTE_NONE
        delimiter = "," if path.suffix == ".csv" else "\t"
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting, quotechar='"')
        writer.writerows([header, *rows] if header else rows)


def _save_objects(path: Path, rows: Iterable[dict]) -> None:
    _save(path, "".join(json.dumps(row) + "\n" for row in rows))


def _write_texts(folder: Path, text: str) -> None:
    for name in ("text/a.txt", "books/a.txt", "sample_text.txt", "input.txt", "papers.txt"):
        short = "the film was good\nthe plot ||| is dull\n" * 4
        _save(folder / name, short if name == "input.txt" else text)
    for name in ("text/a", "held_out/a", "papers/a", *(f"novels_{n}" for n in (0, 1, "eval"))):
        path = folder / f"{name}.txt.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()))
    news = "".join(json.dumps({"body": part}) + "\n" for part in text.split("\n\n"))
    (folder / "news-1.jsonl.gz").write_bytes(gzip.compress(news.encode()))
    _save(folder / "words.txt", "perplexity\npretokenized\n")


def _write_dumps(folder: Path, text: str) -> None:
    header = '<mediawiki xml:lang="{}"><siteinfo><sitename>W</sitename></siteinfo>\n'
    paragraphs = [part for part in text.split("\n\n") if len(part) > 200][:40]
    pages = [
        f"<page><title>T{n}</title><ns>0</ns><id>{n}</id><revision><id>{n}</id>"
        f'<model>wikitext</model><text xml:space="preserve">{_escaped(part)}</text>'
        "</revision></page>\n"
        for n, part in enumerate(paragraphs, start=1)
    ]
    names = {
        "en": "enwiki-20240501-pages-articles-multistream",
        "simple": "simplewiki-latest-pages-articles-multistream",
        "de": "dewiki-1",
        "is": "iswiki-1",
    }
    for language, name in names.items():
        parts = [header.format(language), *pages, "</mediawiki>\n"]
        packed = b"".join(bz2.compress(part.encode()) for part in parts)
        (folder / f"{name}.xml.bz2").write_bytes(packed)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _write_glue(folder: Path) -> None:
    glue = folder / "glue_data"
    for split in _SIZES:
        test = split == "test"

        def labelled(label, rng, test=test):
            return (review(label, rng), *([] if test else [label]))

        first = ["index"] if test else []
        rows = [[*([str(n)] if test else []), *row] for n, row in enumerate(_rows(split, labelled))]
        for place in (glue / "SST-2", folder / "SST-2"):
            _save_table(
                place / f"{split}.tsv", [*first, "sentence", *([] if test else ["label"])], rows
            )
        pairs = _rows(split, lambda label, rng: (label, review(label, rng), review("1", rng)))
        _save_table(
            glue / "MRPC" / f"{split}.tsv",
            ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"],
            [[str(n) if test else label, "1", "2", a, b] for n, (label, a, b) in enumerate(pairs)],
        )
        _save_table(
            folder / "RTE" / f"{split}.tsv",
            ["index", "sentence1", "sentence2", *([] if test else ["label"])],
            [
                [str(n), a, b, *([] if test else [("not_entailment", "entailment")[int(label)]])]
                for n, (label, a, b) in enumerate(pairs)
            ],
        )
        columns = [f"column{n}" for n in range(7)]
        _save_table(
            glue / "STS-B" / f"{split}.tsv",
            [*columns, "sentence1", "sentence2", *([] if test else ["score"])],
            [
                [str(n), *columns[1:], a, b, *([] if test else [f"{5 * int(label)}.0"])]
                for n, (label, a, b) in enumerate(pairs)
            ],
        )
    labels = ("contradiction", "entailment", "neutral")
    columns = [f"column{n}" for n in range(8)]
    rows = [[*columns, "the film", f"is {n}", "", labels[n % 3]] for n in range(24)]
    for split in ("train", "dev_matched", "dev_mismatched"):
        header = [*columns, "sentence1", "sentence2", "label1", "gold_label"]
        _save_table(folder / "MNLI" / f"{split}.tsv", header, rows)
    unlabelled = [[str(n), review("1", random.Random(n))] for n in range(12)]
    _save_table(folder / "sentences_1.tsv", ["index", "sentence"], unlabelled)
    _save_table(
        folder / "nli.tsv",
        ["gold_label", "sentence1", "sentence2"],
        [
            [("contradiction", "entailment")[int(label)], a, b]
            for label, a, b in _rows("train", lambda x, rng: (x, review(x, rng), review("1", rng)))
        ],
    )
    _write_xnli(folder / "xnli")


def _write_xnli(folder: Path) -> None:
    labels = ("contradiction", "entailment", "neutral")
    _save_table(
        folder / "multinli" / "multinli.train.en.tsv",
        ["premise", "hypo", "label"],
        [["the film", f"is {n}", ("contradictory", *labels[1:])[n % 3]] for n in range(24)],
    )
    header = ["language", "gold_label", *(f"parse{n}" for n in range(4)), "sentence1", "sentence2"]
    for split in ("dev", "test"):
        rows = [
            [language, label, "", "", "", "", "the film", "is good"]
            for language, label in itertools.product(_LANGUAGES, labels)
        ]
        _save_table(folder / f"xnli.{split}.tsv", header, rows)


def _write_tables(folder: Path) -> None:
    for split in _SIZES:

        def row(label, rng):
            text = review(label, rng)
            return text, label, text, label

        header = ["review", "stars", "text", "label"]
        rows = _rows(split, row)
        if split == "test":
            header, rows = ["review", "text"], [[each[0], each[2]] for each in rows]
        _save_table(folder / "my_data" / f"{split}.csv", header, rows)
        _save_table(folder / "stars" / f"{split}.csv", header, rows)
        _save_table(
            folder / "comments" / f"{split}.csv",
            ["comment_text", "toxic", "insult", "threat"],
            _rows(split, lambda label, rng: (review(label, rng), label, "01"[label == "0"], "0")),
        )


def _squad(text: str, answer: str, number: int = 16) -> str:
    asked = {"question": "what was it?"}
    answers = [{"text": answer, "answer_start": text.index(answer)}]
    questions = [{**asked, "id": f"q{n}", "answers": answers} for n in range(number)]
    article = {"title": "t", "paragraphs": [{"context": text, "qas": questions}]}
    return json.dumps({"version": "1.1", "data": [article]})


def _write_questions(folder: Path) -> None:
    english = _squad("The film was good and the plot was dull.", "good")
    for place in (folder, folder / "squad"):
        _save(place / "train-v1.1.json", english)
        _save(place / "dev-v1.1.json", english)
    answers = {f"q{n}": "good" for n in range(16)}
    _save(folder / "predictions.json", json.dumps(answers))
    for language, text, answer in (("en", "The old house", "old"), ("de", "Das Haus", "Haus")):
        _save(folder / "xquad" / f"xquad.{language}.json", _squad(text, answer))
    for language in ("ar", "de", "en", "es", "hi", "vi", "zh"):
        name = f"test-context-{language}-question-{language}.json"
        _save(folder / "MLQA_V1" / "test" / name, _squad("Das Haus", "Haus", 4))


def _write_choices(folder: Path) -> None:
    endings = [f"was {word}" for word in ("good", "bad", "dull", "poor")]
    header = ["", "video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source"]
    header += [f"ending{n}" for n in range(4)]
    for split, name in (("train", "train"), ("dev", "val"), ("test", "test")):
        rows = [
            [str(n), "v", str(n), "the film", "We saw it.", "the film", "gold", *endings]
            + (["0"] if split != "test" else [])
            for n in range(_SIZES[split])
        ]
        labelled = [*header, *(["label"] if split != "test" else [])]
        _save_table(folder / "swagaf" / "data" / f"{name}.csv", labelled, rows)
        questions = [
            {"question": f"What {n}?", "answers": endings[: 2 + n % 3], "right": n % 2}
            for n in range(_SIZES[split])
        ]
        _save_objects(folder / "quiz" / f"{split}.jsonl", questions)
    codah = [["o", "the film", *endings, str(n % 4)] for n in range(_SIZES["train"])]
    _save_table(folder / "CODAH" / "data" / "full_data.tsv", [], codah)


def _write_superglue(folder: Path) -> None:
    for split, name in (("train", "train"), ("dev", "val"), ("test", "test")):
        rows = [
            {"idx": n, "passage": "The film was good.", "question": f"was it {n}"}
            | ({} if split == "test" else {"label": n % 2 == 0})
            for n in range(_SIZES[split])
        ]
        _save_objects(folder / "superglue" / "BoolQ" / f"{name}.jsonl", rows)
        pair = {"premise": "The film was good.", "hypothesis": "It was fine."}
        rows = [
            {"idx": n, **pair, "label": ("entailment", "not_entailment")[n % 2]}
            for n in range(_SIZES[split])
        ]
        _save_objects(folder / "superglue" / "RTE" / f"{name}.jsonl", rows)
        places = {"start1": 5, "end1": 9, "start2": 2, "end2": 6}
        sentences = {"word": "ball", "sentence1": "Play ball.", "sentence2": "A ball was held."}
        rows = [
            {"idx": n, **sentences, **places, "label": n % 2 == 0} for n in range(_SIZES[split])
        ]
        _save_objects(folder / "superglue" / "WiC" / f"{name}.jsonl", rows)
    rows = [
        {"idx": n, "pair_id": n // 2, **pair, "label": ("entailment", "not_entailment")[n % 2]}
        for n in range(6)
    ]
    _save_objects(folder / "superglue" / "AX-g" / "AX-g.jsonl", rows)


def _write_entities(folder: Path) -> None:
    sentence = (
        "Ann NNP B-NP B-PER\nsaw VBD B-VP O\nthe DT B-NP O\nold JJ I-NP O\nBerlin NNP O B-LOC\n"
    )
    for name in ("eng.train", "eng.testa", "eng.testb"):
        text = "-DOCSTART- -X- O O\n\n" + f"{sentence}\n" * 8
        _save(folder / "conll2003" / name, text)


def _write_roles(folder: Path) -> None:
    rows = [
        *(
            "a/b 0 0 He PRP (S* - - - A * (ARG0*) * (1)",
            "a/b 0 1 wants VBZ * want 01 1 A * (V*) * -",
        ),
        *("a/b 0 2 to TO * - - - A * (ARG1* * -", "a/b 0 3 eat VB *) eat 02 1 A * *) (V*) -"),
    ]
    document = "\n".join(["#begin document (a/b); part 000", *rows, "", "#end document"]) + "\n"
    for split in _SIZES:
        _save(folder / f"{split}.gold_conll", document * 6)


def _write_coreference(folder: Path) -> None:
    words = [
        ("Ann", "(0)"),
        ("saw", "-"),
        ("Bob", "(1)"),
        (".", "-"),
        ("Ann", "(0)"),
        ("left", "-"),
    ]
    rows = [f"d0 0 {place} {word} {mention}" for place, (word, mention) in enumerate(words)]
    document = "\n".join(["#begin document (d0); part 000", *rows, "", "#end document"]) + "\n"
    for split in _SIZES:
        _save(folder / "conll-2012" / f"{split}.conll", document)


def _write_trec(folder: Path) -> None:
    lines = "HUM:ind Who saw the film ?\nNUM:date When was it made ?\n"
    for name in ("train_5500.label", "TREC_10.label"):
        _save(folder / "trec" / name, lines * 8)
