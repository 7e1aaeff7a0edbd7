"""RoBERTas and DistilBERTs in use: folders as released, Predictor, fine-tuning, conversion."""

import dataclasses
import gzip
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from family_golden import family_file
from random_models import CONFIG, make_model

import bert_tf
from bert_tf.conversion.convert import convert
from bert_tf.formats import huggingface, names
from bert_tf.formats.source import TokenizerFiles, read_pretrained
from bert_tf.inference.load_model import load_model
from bert_tf.kinds.length_runner import IDS
from bert_tf.kinds.masked_lm import MaskFiller
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ConversionSettings, ExportSettings

pytest.importorskip("tokenizers", reason="needs: pip install '.[bpe]'")
pytest.importorskip("safetensors", reason="needs: pip install safetensors")

VOCABULARY = family_file("roberta/vocab.json")
ROBERTA = dataclasses.replace(
    CONFIG,
    model_type="roberta",
    type_vocab_size=1,
    layer_norm_eps=1e-5,
    vocab_size=596,
    max_position_embeddings=42,
)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Hugging Face's folders, with the files of the tokenizer as released."""
    place = tmp_path_factory.mktemp("released")
    for head in ("classification", "masked LM", "tagging", "span"):
        without = () if head == "classification" else names.POOLER
        model = make_model(head, ROBERTA, without, tokenizer=TokenizerFiles())
        huggingface.write(model, str(place / head))
        for name in ("vocab.json", "merges.txt"):
            shutil.copy(VOCABULARY.with_name(name), place / head / name)
    return place


@pytest.fixture(scope="module")
def tokenizer():
    return bert_tf.ByteBpeTokenizer(str(VOCABULARY))


def test_texts_and_pairs_have_the_special_tokens_of_the_reference(tokenizer):
    cases = json.loads(gzip.decompress(VOCABULARY.with_name("cases.json.gz").read_bytes()))
    # Hugging Face finds special tokens in a text; the original's encoder does not.
    cases = [case for case in cases if "<" not in case["text"] + case.get("pair", "")]
    for case in cases:
        row = tokenizer(case["text"], case.get("pair"))
        assert row["input_ids"].tolist() == case["hf_with_special"]
        assert not row["segment_ids"].any()
    assert sum("pair" in case for case in cases) > 30
    rows = tokenizer(["a b", "c"], ["d", "e f"], max_length=9, padding="max_length")
    assert (rows["input_ids"][rows["input_mask"] == 0] == 1).all()
    assert rows["input_mask"].sum() < rows["input_mask"].size


def test_truncated_pairs_keep_both_separators(tokenizer):
    row = tokenizer("the " * 9, "thing " * 9, max_length=10)
    assert row["input_ids"].shape == (10,)
    assert row["input_ids"].tolist().count(2) == 3


@pytest.mark.parametrize("inputs", [("text",), ("text_a", "text_b")])
def test_a_predictor_classifies_as_the_model(inputs, released, tokenizer):
    predictor = bert_tf.Predictor(str(released / "classification"), inputs=inputs)
    texts = [("The cat sat.", "On the mat, it sat for years."), ("A", "B")]
    answers = predictor.predict([text[: len(inputs)] for text in texts])
    model = bert_tf.ClassificationModel.from_preset(str(released / "classification"))
    for text, answer in zip(texts, answers, strict=True):
        logits = model({n: v[None] for n, v in tokenizer(*text[: len(inputs)]).items()})[0].numpy()
        expected = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-5)


def test_a_mask_takes_the_space_before_it(released, tokenizer):
    predictor = bert_tf.Predictor(str(released / "masked LM"))
    filled = predictor.fill_mask("The thing <mask> on the mat.")
    same = predictor.fill_mask("The thing<mask> on the mat.")
    assert filled.tokens == same.tokens
    assert filled.candidates == same.candidates
    assert filled.tokens[filled.tokens.index("<mask>") + 1].startswith("Ġ")
    best = filled.candidates[0][0].token
    before, after = filled.best.split(tokenizer.join_tokens([best]), 1)
    assert before == "The thing"
    assert after.endswith(" on the mat.")
    assert best not in ("<s>", "</s>", "<pad>", "<unk>", "<mask>")
    with pytest.raises(ValueError, match="There is no <mask> to fill"):
        predictor.fill_mask("The [MASK].")


def test_words_of_texts_and_answers_are_found_in_the_text(released):
    text = "Hello,  John Smith!"
    (words,) = bert_tf.Predictor(str(released / "tagging")).predict([text])
    assert [word.word for word in words] == ["Hello", ",", "John", "Smith", "!"]
    assert all(text[word.start : word.end] == word.word for word in words)
    context = "Anna lives here.\n John (1895-1943) sat on the mat, they say. " * 3
    answer = bert_tf.Predictor(str(released / "span")).answer("Who sat?", context)
    assert len(answer.nbest) > 1
    for found in answer.nbest:
        assert context[found.start : found.end] == found.text


def test_words_of_training_and_of_texts_have_the_same_ids(tokenizer):
    from offset_passage import OffsetPassage

    from bert_tf.spans.offsets import TEXT_WORD, words_with_offsets
    from bert_tf.spans.windows import PassageTokenizer
    from bert_tf.spans.words import word_pieces

    text = "Anna lives\there.\n  John\u00a0(1895-1943) é"
    passage = OffsetPassage(text, tokenizer)
    assert passage.ids == PassageTokenizer(tokenizer).tokens(text).ids
    words = ["Hello", ",", "John", "!"]
    pieces = word_pieces(tokenizer, words)
    tokens, _ = words_with_offsets("Hello, John!", tokenizer, TEXT_WORD)
    assert tokenizer.convert_tokens_to_ids(tokens) == pieces.ids
    firsts = [i for i, token in enumerate(tokens) if not tokenizer.continues_word(token)]
    assert firsts == pieces.first


def test_an_answer_within_a_word_is_learned_where_its_token_is(tokenizer):
    from bert_tf.spans.options import SpanOptions
    from bert_tf.tasks.span import SpanExample, SpanExtraction

    context = "The thing (1895-1943) sat."
    example = SpanExample("1", "When?", context, ("1895",), False, 2, 2)
    task = SpanExtraction.__new__(SpanExtraction)
    task.options = SpanOptions()
    (row,) = task.encode(example, "train", tokenizer, 40)
    start, end = row["start_positions"][0], row["end_positions"][0]
    assert tokenizer.decode(row["input_ids"][start : end + 1]) == "1895"
    assert row["input_ids"].count(2) == 3
    assert not any(row["segment_ids"])


def test_a_model_goes_to_presets_and_to_other_formats_with_its_tokenizer(released, tmp_path):
    model = bert_tf.ClassificationModel.from_preset(str(released / "classification"))
    labels = ["no", "yes", "?"]
    model.save_to_preset(str(tmp_path / "preset"), labels=labels)
    saved = bert_tf.Predictor(str(tmp_path / "preset")).predict(["The cat sat."])
    before = bert_tf.Predictor(str(released / "classification")).predict(["The cat sat."])
    assert saved[0].probabilities == pytest.approx(before[0].probabilities, abs=1e-6)

    for source, to in (("preset", "huggingface"), ("huggingface", "google")):
        report = convert(
            ConversionSettings(source=str(tmp_path / source), to=to, output_dir=str(tmp_path / to))
        )
        assert not report.dropped
    there, back = (read_pretrained(str(tmp_path / name)) for name in ("huggingface", "google"))
    assert there.tokenizer == back.tokenizer
    original = bert_tf.ByteBpeTokenizer(str(VOCABULARY))
    assert there.tokenizer.vocab == tuple(original.vocab)
    config = json.loads((tmp_path / "huggingface" / "config.json").read_text())
    assert (config["architectures"], config["pad_token_id"]) == (
        ["RobertaForSequenceClassification"],
        1,
    )
    again = bert_tf.ByteBpeTokenizer(str(tmp_path / "huggingface" / "tokenizer.json"))
    text = "É cat\u2009sat, 12 \U0001f600 times"
    assert again.encode(text) == original.encode(text)


def test_no_saved_model_takes_text(released, tmp_path):
    settings = ExportSettings(
        model=str(released / "classification"), export_dir=str(tmp_path / "saved")
    )
    with pytest.raises(ValueError, match=r"byte-level BPE.*--only_ids makes a SavedModel of ids"):
        export_saved_model(settings)
    with pytest.raises(ValueError, match="byte-level BPE"):
        bert_tf.TextPreprocessor.from_preset(str(released / "classification"))


TEXTS = ["A naïve text, of 12 words.", "Short", "", "and\u2009so on" * 20]


@pytest.mark.parametrize("head", ["classification", "masked LM", "tagging", "span"])
def test_a_saved_model_of_ids_answers_as_python_does(head, released, tmp_path):
    folder = str(released / head)
    settings = ExportSettings(model=folder, export_dir=str(tmp_path / "saved"), only_ids=True)
    export = export_saved_model(settings)
    assert export.validation.num_calls == 7
    assert export.validation.largest_difference < 1e-5
    loaded = tf.saved_model.load(export.folder)
    assert set(loaded.signatures) == {"serving_default", "ids", "examples"}
    served, python = loaded.signatures["serving_default"], load_model(folder)
    tokenizer = bert_tf.FullTokenizer.from_preset(folder)
    if head == "masked LM":
        text = "A naïve <mask>, of 12 words."
        ((ids, segments),) = MaskFiller(python).rows([(text,)])
        rows = ([ids], [[1] * len(ids)], [segments])
        outputs = served(**dict(zip(IDS, map(tf.constant, rows), strict=True)))
        (best,) = bert_tf.Predictor(folder).fill_mask(text, top_k=5).candidates
        expected = [candidate.probability for candidate in best]
        assert outputs["probabilities"].numpy()[0, 0].tolist() == pytest.approx(expected, abs=1e-5)
        return
    batch = tokenizer(TEXTS, max_length=40)
    outputs = served(**{name: tf.constant(batch[name], tf.int32) for name in IDS})
    if head == "classification":
        labels = [label.decode() for label in outputs["labels"][0].numpy()]
        answers = bert_tf.Predictor(folder, max_seq_length=40).predict(TEXTS)
        for row, answer in zip(outputs["probabilities"].numpy(), answers, strict=True):
            found = dict(zip(labels, row.tolist(), strict=True))
            assert found == pytest.approx(answer.probabilities, abs=1e-5)
        return
    expected = python.model(python.model.select_features(dict(batch)))
    if head == "span":
        for name in ("start_logits", "end_logits"):
            np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5)
    else:
        best = tf.reduce_max(tf.nn.softmax(expected), axis=-1)
        np.testing.assert_allclose(outputs["probabilities"], best, atol=1e-5)


def test_a_saved_model_of_ids_says_what_it_takes(released, tmp_path):
    settings = ExportSettings(
        model=str(released / "classification"),
        export_dir=str(tmp_path / "saved"),
        only_ids=True,
        validate=False,
    )
    folder = Path(export_saved_model(settings).folder)
    assert sorted(path.name for path in (folder / "assets.extra").iterdir()) == [
        *("bert_config.json", "serving.json", "tokenizer.json")
    ]
    description = json.loads((folder / "assets.extra" / "serving.json").read_text())
    assert description["inputs"] == [*IDS]
    tokenizer = bert_tf.ByteBpeTokenizer(str(folder / "assets.extra" / "tokenizer.json"))
    assert tokenizer.encode(TEXTS[0]) == bert_tf.ByteBpeTokenizer(str(VOCABULARY)).encode(TEXTS[0])
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "It takes ids of tokens (input_ids, input_mask, segment_ids)" in readme
    (lines,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    outputs = {}
    exec(lines.replace('"."', repr(str(folder))), outputs)
    assert outputs["outputs"]["probabilities"].shape == (1, 3)
    with pytest.raises(ValueError, match="exported with --only_ids, so it takes no text"):
        bert_tf.Predictor(settings.export_dir)


def test_settings_of_other_byte_level_tokenizers_are_named(released, tmp_path):
    shutil.copytree(released / "tagging", tmp_path / "model")
    (tmp_path / "model" / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    read = huggingface.read(str(tmp_path / "model"))
    assert list(read.dropped) == ["tokenizer_config.json: add_prefix_space True"]
