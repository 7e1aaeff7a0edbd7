"""Coreference from a fine-tuned folder: Python's answers, the task's, and a SavedModel's."""

import json
import random

import numpy as np
import pytest
import tensorflow as tf
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.finetuning.run import FinetuningRun
from bert_tf.kinds.coreference import MentionSpan, _segments, in_words, join_words
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ExportSettings
from bert_tf.spans.coreference import divide_document
from bert_tf.spans.sentences import sentence_ends
from bert_tf.tasks.coreference_files import read_conll
from bert_tf.tasks.task import find_task

NAMES = ["ann", "bob", "eve"]
OTHERS = ["saw", "the", "a", "red", "old", "cat"]
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *NAMES, *OTHERS, "##s", ".", "!", '"', "mr"]


def write_documents(path, number, seed):
    """Documents in which the same name is always the same person."""
    rng, lines = random.Random(seed), []
    for document in range(number):
        lines.append(f"#begin document (d{document}); part 000")
        for _ in range(4):
            names = rng.sample(NAMES, 2)
            words = [names[0], rng.choice(OTHERS[:2]), *rng.sample(OTHERS[1:], 2), names[1], "."]
            for place, word in enumerate(words):
                mention = f"({NAMES.index(word)})" if word in NAMES else "-"
                lines.append(f"d{document} 0 {place} {word} {mention}")
            lines.append("")
        lines.append("#end document")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains on documents, and returns the run with the folder of its data."""
    folder = tmp_path_factory.mktemp("coref")
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = {**sizes, "intermediate_size": 32, "max_position_embeddings": 32}
    config |= {"vocab_size": len(VOCAB), "type_vocab_size": 2, "initializer_range": 0.2}
    (folder / "bert_config.json").write_text(json.dumps(config))
    for name, number in (("train", 24), ("dev", 3), ("test", 3)):
        write_documents(folder / f"{name}.conll", number, name)
    options = {"ffnn_size": "16", "feature_size": "4", "max_span_width": "3"}
    options |= {"max_top_antecedents": "8", "max_segments": "6", "max_mentions": "20"}
    task = find_task("coref", {"data_dir": str(folder), "dropout_rate": "0.0", **options})
    files = {"vocab_file": "vocab.txt", "bert_config_file": "bert_config.json"}
    settings = small_finetuning(
        {flag: str(folder / name) for flag, name in files.items()},
        "coref",
        folder / "out",
        max_seq_length=16,
        train_batch_size=2,
        eval_batch_size=2,
        predict_batch_size=2,
        head_learning_rate=5e-3,
        num_train_epochs=20.0,
        do_predict=True,
    )
    run = FinetuningRun(settings, task)
    run.train()
    return run, folder


@pytest.mark.slow
def test_it_learns_and_writes_what_the_scorer_reads(trained):
    run, folder = trained
    results = run.evaluator.evaluate_and_write()
    assert results["eval_no_singletons_conll_f1"] > 80
    (path,) = run.evaluator.predict_and_write()
    documents = read_conll(path)
    assert [d.words for d in documents] == [d.words for d in read_conll(f"{folder}/test.conll")]
    assert [d.clusters for d in documents] == [
        sorted(clusters, key=min) for clusters in run.evaluator.answers("predict").answers
    ]


@pytest.mark.slow
def test_the_predictor_answers_as_the_task_does(trained):
    run, folder = trained
    answers = run.evaluator.answers("predict").answers
    predictor = bert_tf.Predictor(f"{folder}/out")
    for document, expected in zip(read_conll(f"{folder}/test.conll"), answers, strict=True):
        assert sorted(predictor.coreference(document.sentences)) == sorted(expected)
    text = "ann saw the cat. the cat saw ann!"
    (entities,) = predictor.predict([text])
    for entity in entities:
        for mention in entity:
            assert text[mention.start : mention.end] == mention.text
    assert predictor.predict(["", "ann."])[0] == ()


@pytest.mark.slow
def test_a_saved_model_answers_as_the_predictor(trained, tmp_path):
    _, folder = trained
    export = export_saved_model(
        ExportSettings(model=f"{folder}/out", export_dir=str(tmp_path / "export"), warmup=False)
    )
    assert export.validation.num_examples > 50
    served, python = (bert_tf.Predictor(p) for p in (str(tmp_path / "export"), f"{folder}/out"))
    documents = read_conll(f"{folder}/dev.conll")
    texts = [join_words(document.sentences)[0] for document in documents]
    assert served.predict(texts) == python.predict(texts)
    assert served.coreference(documents[0].sentences) == python.coreference(documents[0].sentences)


@pytest.mark.slow
def test_the_graphs_sentences_are_those_of_the_rule(trained):
    _, folder = trained
    resolver = bert_tf.Predictor(f"{folder}/out")._made(bert_tf.Predictor(f"{folder}/out")._default)
    rng = np.random.default_rng(0)
    for _ in range(20):
        ids = rng.integers(5, len(VOCAB), 40)
        rows = np.sort(rng.integers(0, 3, 40)).astype("int32")
        found = resolver._ends_by_rule(tf.constant(ids, tf.int32), tf.constant(rows)).numpy()
        expected = [
            end for row in range(3) for end in sentence_ends([VOCAB[i] for i in ids[rows == row]])
        ]
        assert found.tolist() == expected


def test_the_graphs_segments_are_those_of_training():
    rng = np.random.default_rng(0)
    for _ in range(20):
        word_ends = rng.random(60) < 0.7
        word_ends[[*range(3, 60, 4), 59]] = True
        ends = word_ends & (rng.random(60) < 0.2)
        ends[59] = True
        is_last = np.arange(60) == 59
        segments = _segments(*map(tf.constant, (ends, word_ends, is_last)), 8)
        expected = [list(range(*segment)) for segment in divide_document(ends, word_ends, 10)]
        assert segments.to_list() == expected


def test_words_and_characters():
    text, places = join_words([["Mr.", "Poe"], [], ["ran"]])
    assert text == "Mr. Poe\nran"
    spans = [[MentionSpan("Poe", 4, 7), MentionSpan("ran", 8, 11)], [MentionSpan("Mr", 0, 2)]]
    assert in_words(spans, places) == [[(1, 1), (2, 2)]]
