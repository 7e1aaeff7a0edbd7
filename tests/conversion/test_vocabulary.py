"""New words and new vocabularies: which rows change, what they start as, and what is refused."""

import dataclasses
import importlib.util

import numpy as np
import pytest
from random_models import CONFIG, make_model

import bert_tf
from bert_tf.conversion.convert import convert
from bert_tf.conversion.vocabulary import add_words, replace_vocabulary
from bert_tf.conversion.weights import pad
from bert_tf.formats import google, huggingface, names
from bert_tf.formats.source import TokenizerFiles
from bert_tf.settings import ConversionSettings

needs_safetensors = pytest.mark.skipif(
    importlib.util.find_spec("safetensors") is None, reason="needs: pip install safetensors"
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCAB = (
    *SPECIAL[:1],
    *("[unused0]", "[unused1]"),
    *SPECIAL[1:],
    *("the", "heart", "an", "pl", "##gio", "##pl", "##as", "##ty", "##y", "##s", "cafe", "-"),
)
SIZE = len(VOCAB)
ROW = {token: row for row, token in enumerate(VOCAB)}
BERT = dataclasses.replace(CONFIG, vocab_size=SIZE, hidden_act="gelu")
CONFIGS = {
    "bert": BERT,
    "distilbert": dataclasses.replace(BERT, model_type="distilbert", type_vocab_size=0),
    "electra": dataclasses.replace(
        BERT, model_type="electra", embedding_size=4, hidden_act="gelu_erf"
    ),
}
BIAS = {"electra": "generator_predictions/output_bias"}
ANGIOPLASTY = ("an", "##gio", "##pl", "##as", "##ty")


def model_of(model_type="bert", vocab=VOCAB, rows=SIZE, do_lower_case=True):
    config = dataclasses.replace(CONFIGS[model_type], vocab_size=rows)
    head, tokenizer = "" if model_type == "electra" else "masked LM", TokenizerFiles()
    model = make_model(head, config, tokenizer=tokenizer)
    weights = dict(model.weights)
    if model_type == "electra":
        weights[BIAS["electra"]] = np.linspace(-1, 1, rows, dtype=np.float32)
    return dataclasses.replace(
        model, weights=weights, tokenizer=TokenizerFiles(vocab, do_lower_case)
    )


def tables(model):
    """The word embeddings [V, E] and the output's bias [V]."""
    scope, model_type = model.config.scope, model.config.model_type
    table = model.weights[f"{scope}/embeddings/word_embeddings"]
    return table, model.weights[BIAS.get(model_type, names.MASKED_LM_BIAS)]


def mean(table, pieces):
    """The mean of the rows of some pieces of VOCAB."""
    return table[[ROW[piece] for piece in pieces]].mean(0, dtype=np.float64)


def write(folder, text):
    path = folder / "words.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_a_new_word_starts_as_the_mean_of_its_old_pieces(tmp_path, model_type):
    old = model_of(model_type)
    new = add_words(old, write(tmp_path, "angioplasty\n\nhearts\n"))
    assert new.tokenizer.vocab[1:3] == ("angioplasty", "hearts")
    assert new.config == old.config
    others = [row for row in range(SIZE) if row not in (1, 2)]
    for before, after in zip(tables(old), tables(new), strict=True):
        np.testing.assert_allclose(after[1], mean(before, ANGIOPLASTY), rtol=1e-6)
        np.testing.assert_allclose(after[2], mean(before, ["heart", "##s"]), rtol=1e-6)
        np.testing.assert_array_equal(after[others], before[others])
    (note,) = new.notes
    assert "2 new words: angioplasty, hearts. It has 0 [unused] rows left." in note


def test_all_weights_but_the_rows_stay(tmp_path):
    old = model_of()
    new = add_words(old, write(tmp_path, "hearts"))
    changed = {n for n in old.weights if not np.array_equal(old.weights[n], new.weights[n])}
    assert changed == {names.WORD_EMBEDDINGS, names.MASKED_LM_BIAS}
    assert old.weights.keys() == new.weights.keys()


@pytest.mark.parametrize("rows", [SIZE, SIZE + 1, SIZE + 8])  # Some tables are padded.
def test_words_beyond_the_unused_rows_can_be_appended(tmp_path, rows):
    path = write(tmp_path, "angioplasty\nhearts\nplasty\nplas\n")
    old = model_of(rows=rows)
    with pytest.raises(ValueError, match=r"words.txt: 4 words, but .* 2 \[unused\] rows.*--append"):
        add_words(old, path)
    new = add_words(old, path, append=True)
    assert new.tokenizer.vocab[SIZE:] == ("plasty", "plas")
    assert new.config.vocab_size == max(rows, SIZE + 2)
    for before, after in zip(tables(old), tables(new), strict=True):
        assert len(after) == max(rows, SIZE + 2)
        pieces = ["pl", "##as", "##ty"]
        np.testing.assert_allclose(after[SIZE], mean(before, pieces), rtol=1e-6)
        np.testing.assert_allclose(after[SIZE + 1], mean(before, pieces[:2]), rtol=1e-6)
    assert "of which 2 in rows at its end" in new.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hearts\nheart\n", "words.txt:2: the word 'heart' is in the vocabulary already"),
        ("\nheart attack\n", "words.txt:2: .* splits text into heart attack there"),
        ("x-ray\n", "words.txt:1: .* splits text into x - ray there"),
        ("##ology\n", "words.txt:1: .* splits text into # # ology there"),
        ("hearts\nStent\n", "words.txt:2: .* the tokenizer makes it 'stent'"),
        ("naïve\n", "words.txt:1: .* the tokenizer makes it 'naive'"),
        ("hearts\nstent\nhearts\n", "words.txt:3: the word 'hearts' stands in line 1 already"),
        ("[MASK]\n", "words.txt:1: .* in the vocabulary already"),
        ("心脏\n", "words.txt:1: .* splits text into 心 脏 there"),
        ("a" * 201 + "\n", "words.txt:1: .* has 201 characters"),
        ("\n \n", "words.txt:1: no words"),
    ],
)
def test_words_that_no_text_would_give_are_refused_with_their_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        add_words(model_of(), write(tmp_path, text))


def test_a_cased_model_takes_capitals_and_accents(tmp_path):
    new = add_words(model_of(do_lower_case=False), write(tmp_path, "Stent\nnaïve\n"))
    assert new.tokenizer.vocab[1:3] == ("Stent", "naïve")
    unk = ROW["[UNK]"]
    np.testing.assert_array_equal(tables(new)[0][1], tables(model_of())[0][unk])
    assert "2 start as [UNK], as the old pieces cannot spell them: Stent, naïve." in new.notes[0]


def test_without_a_known_case_the_message_says_where_to_put_it(tmp_path):
    with pytest.raises(ValueError, match=r"tokenizer_config.json beside it: .*do_lower_case"):
        add_words(model_of(do_lower_case=None), write(tmp_path, "stent"))


@pytest.mark.parametrize("model_type", CONFIGS)
def test_a_new_vocabulary_keeps_the_vectors_of_old_tokens(tmp_path, model_type):
    vocab = [*SPECIAL, "heart", "plasty", "##giopl", "##s", "stent", "##é"]
    old = model_of(model_type)
    new = replace_vocabulary(old, write(tmp_path, "\n".join(vocab) + "\n"))
    assert new.tokenizer.vocab == tuple(vocab)
    assert new.config.vocab_size == len(vocab)
    for before, after in zip(tables(old), tables(new), strict=True):
        for row in (0, 1, 2, 3, 4, 5, 8):
            np.testing.assert_array_equal(after[row], before[ROW[vocab[row]]])
        pieces = ["pl", "##as", "##ty"]
        np.testing.assert_allclose(after[6], mean(before, pieces), rtol=1e-6)
        # A piece within words is made of pieces within words: ##pl, not pl.
        pieces = ["##gio", "##pl"]
        np.testing.assert_allclose(after[7], mean(before, pieces), rtol=1e-6)
        np.testing.assert_array_equal(after[9], before[ROW["[UNK]"]])
    assert new.notes[0] == (
        f"the vocabulary has 11 tokens instead of {SIZE}: 7 kept their vectors, 2 start as the "
        "mean of their old pieces. 2 start as [UNK], as the old pieces cannot spell them: stent, "
        "##é."
    )


def test_a_vocabulary_in_another_case_or_without_special_tokens_is_refused(tmp_path):
    cased = [*SPECIAL, *(f"Word{number}" for number in range(1000))]
    with pytest.raises(ValueError, match=r"many of its words have capital letters, but .* lower-c"):
        replace_vocabulary(model_of(), write(tmp_path, "\n".join(cased)))
    with pytest.raises(ValueError, match=r"words.txt:5: .* without \[MASK\]"):
        replace_vocabulary(model_of(), write(tmp_path, "\n".join([*SPECIAL[:4], "heart"])))


@pytest.mark.parametrize("model_type", ["albert", "roberta"])
def test_other_models_are_refused(tmp_path, model_type):
    fields = {"embedding_size": 4, "num_hidden_groups": 1, "inner_group_num": 1}
    fields = fields if model_type == "albert" else {}
    config = dataclasses.replace(BERT, model_type=model_type, **fields)
    model = make_model("", config, tokenizer=TokenizerFiles(VOCAB, True))
    for change in (add_words, replace_vocabulary):
        with pytest.raises(ValueError, match=f"WordPiece models.*Received: .*{model_type}"):
            change(model, write(tmp_path, "hearts"))
    with pytest.raises(ValueError, match=r"--new_words needs the model's vocab.txt"):
        add_words(model_of(vocab=None), write(tmp_path, "hearts"))


@needs_safetensors
@pytest.mark.parametrize(
    ("model_type", "start", "to"),
    [
        ("bert", "google", "huggingface"),
        ("bert", "huggingface", "google"),
        ("distilbert", "huggingface", "huggingface"),
        ("electra", "google", "google"),
    ],
)
def test_the_model_is_written_with_its_vocabulary(tmp_path, monkeypatch, model_type, start, to):
    # The files are read back here: transformers takes seconds. A slow test has it.
    monkeypatch.setattr("bert_tf.formats.huggingface_outputs.is_installed", lambda: False)
    check_conversion(tmp_path, model_type, start, to)


@needs_safetensors
@pytest.mark.slow
def test_transformers_reads_the_model_with_its_new_words(tmp_path):
    pytest.importorskip("transformers", reason="needs: pip install transformers torch")
    check_conversion(tmp_path, "bert", "huggingface", "huggingface")


def check_conversion(tmp_path, model_type, start, to):
    formats = {"google": google, "huggingface": huggingface}
    old = model_of(model_type)
    weights = {**old.weights, "global_step": np.int64(7)} if start == "google" else old.weights
    formats[start].write(dataclasses.replace(old, weights=weights), str(tmp_path / "old"))
    settings = ConversionSettings(
        source=str(tmp_path / "old"),
        to=to,
        output_dir=str(tmp_path / "new"),
        new_words=write(tmp_path, "angioplasty\nhearts\nstent\n"),
        append_words=True,
    )
    report = convert(settings)
    assert "note: the vocabulary has 3 new words" in "\n".join(report.lines())
    new = formats[to].read(str(tmp_path / "new"))
    assert new.config.vocab_size == SIZE + 1
    assert "global_step" not in new.weights
    np.testing.assert_allclose(
        tables(new)[0][1], mean(tables(old)[0], ANGIOPLASTY), rtol=1e-5, atol=1e-6
    )
    tokenizer = bert_tf.FullTokenizer(str(tmp_path / "new" / "vocab.txt"))
    assert tokenizer.tokenize("Angioplasty: the heart's stent") == [
        *("angioplasty", "[UNK]", "the", "heart", "[UNK]", "[UNK]", "stent")
    ]


def test_settings_that_exclude_each_other_are_refused():
    given = {"source": "a", "to": "google", "output_dir": "b"}
    with pytest.raises(ValueError, match=r"--new_words or --new_vocab\. Received both"):
        ConversionSettings(**given, new_words="w.txt", new_vocab="v.txt")
    with pytest.raises(ValueError, match="--append_words needs --new_words"):
        ConversionSettings(**given, append_words=True)


@needs_safetensors
@pytest.mark.parametrize("change", [{"new_words": "words.txt"}, {"num_layers": 1}])
def test_a_changed_model_is_not_compared_with_its_own_files(tmp_path, monkeypatch, change):
    def refuse(*_):
        raise AssertionError("These files are of another vocabulary or other layers.")

    monkeypatch.setattr("bert_tf.conversion.check._run_transformers", refuse)
    monkeypatch.setattr("bert_tf.formats.huggingface_outputs.is_installed", lambda: True)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "hearts")
    huggingface.write(model_of(), "old")
    report = convert(ConversionSettings(source="old", to="google", output_dir="new", **change))
    assert report.check.startswith("largest difference 0.0e+00 in ")


def test_the_vocabulary_of_an_electra_can_be_padded():
    old = model_of("electra")
    new = pad(old, SIZE + 3)
    for before, after, added in zip(tables(old), tables(new), (0, -10000), strict=True):
        np.testing.assert_array_equal(after[:SIZE], before)
        assert (after[SIZE:] == added).all()
        assert len(after) == SIZE + 3
