"""What stands behind [MASK]: candidates, their probabilities, and the script that prints them."""

import sys

import forked_python
import numpy as np
import pytest
import tensorflow as tf
from served_models import write_model

import bert_tf
from bert_tf.config import BertConfig
from bert_tf.inference.load_model import load_model
from bert_tf.kinds.masked_lm import Candidate, MaskFiller
from bert_tf.kinds.text_model import LoadedModel
from bert_tf.released.find_model import ModelFiles
from bert_tf.text.tokenization import FullTokenizer
from bert_tf.training.checkpoint import NumberedCheckpoints, named_variables

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "man", "went", "##ing", "."]
CONFIG = BertConfig(
    vocab_size=12,  # Two rows more than the vocabulary has, as padded tables have.
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=8,
    type_vocab_size=2,
)
BIAS_NAME = "cls/predictions/output_bias"


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    return str(path)


def model_with_bias(bias):
    """A model whose every prediction is softmax(bias): all other weights of its head are zero."""
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(CONFIG))
    for name, variable in named_variables(model).items():
        if name == BIAS_NAME:
            variable.assign(bias)
        elif name.startswith("cls/predictions/"):
            variable.assign(np.zeros(variable.shape, np.float32))
    return model


def make_filler(model, vocab_file, top_k=5):
    tokenizer = FullTokenizer(vocab_file)
    heads = ("cls/predictions/",)
    return MaskFiller(
        LoadedModel("masked_lm", model, tokenizer, ("text",), (), 8, heads, True), top_k=top_k
    )


def fill(filler, sentences):
    return filler.predict([(sentence,) for sentence in sentences])


@pytest.fixture(scope="module")
def filler(vocab_file):
    return make_filler(bert_tf.PretrainingModel(bert_tf.BertEncoder(CONFIG)), vocab_file)


def test_candidates_come_best_first_with_their_probabilities(vocab_file):
    probabilities = np.full(12, 0.01)
    probabilities[[6, 8, 5]] = 0.5, 0.3, 0.1  # man, ##ing, the
    filler = make_filler(model_with_bias(np.log(probabilities)), vocab_file, top_k=3)
    (filled,) = fill(filler, ["The [MASK] went."])
    expected = np.array([0.5, 0.3, 0.1]) / probabilities.sum()
    (candidates,) = filled.candidates
    assert [candidate.token for candidate in candidates] == ["man", "##ing", "the"]
    np.testing.assert_allclose([c.probability for c in candidates], expected, rtol=1e-5)
    assert filled.best == "the man went ."


def test_special_tokens_and_rows_without_a_token_are_never_candidates(vocab_file):
    bias = np.zeros(12)
    bias[:5] = bias[10:] = 9.0
    filler = make_filler(model_with_bias(bias), vocab_file)
    (filled,) = fill(filler, ["the [MASK]"])
    assert [c.token for c in filled.candidates[0]] == ["the", "man", "went", "##ing", "."]


def test_word_pieces_are_joined_in_the_filled_sentence(vocab_file):
    bias = np.zeros(12)
    bias[8] = 9.0
    filler = make_filler(model_with_bias(bias), vocab_file)
    (filled,) = fill(filler, ["The man went[MASK]."])
    assert filled.best == "the man wenting ."


def test_a_sentence_gets_the_same_answer_alone_and_among_longer_ones(filler):
    sentences = ["[MASK] went", "the [MASK] [MASK] went.", "the man [MASK]."]
    together = fill(filler, sentences)
    assert [len(filled.candidates) for filled in together] == [1, 2, 1]
    for sentence, filled in zip(sentences, together, strict=True):
        (alone,) = fill(filler, [sentence])
        assert alone.tokens == filled.tokens
        for ours, theirs in zip(alone.candidates, filled.candidates, strict=True):
            assert [c.token for c in ours] == [c.token for c in theirs]
            np.testing.assert_allclose(
                [c.probability for c in ours], [c.probability for c in theirs], rtol=1e-4
            )


def test_the_answer_is_what_the_model_itself_says_at_that_place(filler):
    (filled,) = fill(filler, ["the [MASK] went"])
    outputs = filler.loaded.model(
        {
            "input_ids": np.array([[2, 5, 4, 7, 3]]),
            "input_mask": np.ones((1, 5), np.int32),
            "segment_ids": np.zeros((1, 5), np.int32),
            "masked_lm_positions": np.array([[2]]),
        }
    )
    probabilities = tf.nn.softmax(outputs["masked_lm_logits"])[0, 0].numpy()
    for candidate in filled.candidates[0]:
        expected = probabilities[TOKENS.index(candidate.token)]
        np.testing.assert_allclose(candidate.probability, expected, rtol=1e-4)


def test_more_sentences_than_one_batch_come_back_in_their_order(filler):
    sentences = ["[MASK] " + "went " * (i % 5) for i in range(70)]
    filled = fill(filler, sentences)
    assert [f.text for f in filled] == sentences
    assert [f.tokens for f in filled] == [("[MASK]", *["went"] * (i % 5)) for i in range(70)]


def test_a_sentence_without_a_mask_is_refused(filler):
    with pytest.raises(ValueError, match=r"no \[MASK\] to fill. Received: 'the man'"):
        fill(filler, ["the [MASK]", "the man"])


def test_a_sentence_longer_than_the_model_reads_is_refused_with_its_length(filler):
    fill(filler, ["[MASK] " + "the " * 5])
    with pytest.raises(ValueError, match=r"9 tokens.*8 at most"):
        fill(filler, ["[MASK] " + "the " * 6])


@pytest.mark.parametrize("top_k", [0, -1, 6])
def test_an_impossible_number_of_candidates_is_refused(filler, vocab_file, top_k):
    with pytest.raises(ValueError, match=f"top_k.*Received: {top_k}"):
        make_filler(filler.loaded.model, vocab_file, top_k)


def load_files(folder, checkpoint, vocab_file):
    config_file = str(folder / "bert_config.json")
    found = ModelFiles(config_file, vocab_file, str(folder / checkpoint), True)
    return load_model(found, "masked_lm", inputs=("text",))


@pytest.mark.parametrize("missing", ["cls/", "cls/predictions/"])
def test_a_checkpoint_without_the_head_is_refused(tmp_path, vocab_file, missing):
    (tmp_path / "bert_config.json").write_text(CONFIG.to_json_string(), encoding="utf-8")
    variables = named_variables(bert_tf.PretrainingModel(bert_tf.BertEncoder(CONFIG)))
    kept = {name: value for name, value in variables.items() if not name.startswith(missing)}
    NumberedCheckpoints(str(tmp_path), kept).save(1)
    with pytest.raises(ValueError, match="cls/predictions/"):
        load_files(tmp_path, "model.ckpt-1", vocab_file)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory, vocab_file):
    """A folder as training leaves it, of a model that always says "man"."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "bert_config.json").write_text(CONFIG.to_json_string(), encoding="utf-8")
    checkpoints = {0: np.zeros(12), 7: np.eye(12)[6] * 9}
    for step, bias in checkpoints.items():
        variables = named_variables(model_with_bias(bias))
        NumberedCheckpoints(str(folder), variables).save(step)
    return folder


def run_script(scripts_dir, *arguments, stdin=""):
    return forked_python.run(
        [sys.executable, scripts_dir / "fill_mask.py", *arguments], input=stdin
    )


def test_the_newest_checkpoint_of_a_folder_is_used(model_dir, vocab_file):
    filler = MaskFiller(load_files(model_dir, "", vocab_file), top_k=1)
    (filled,) = fill(filler, ["the [MASK]"])
    assert filled.candidates == ((Candidate("man", filled.candidates[0][0].probability),),)


def test_the_script_prints_candidates_and_the_filled_sentence(scripts_dir, model_dir, vocab_file):
    flags = [f"--model_dir={model_dir}", f"--vocab_file={vocab_file}", "--top_k=2"]
    run = run_script(scripts_dir, *flags, "The [MASK] went.", "[MASK].")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("\nThe [MASK] went.\n    man 99.9%  ")
    assert "-> the man went .\n" in run.stdout
    assert run.stdout.endswith("-> man .\n")
    assert (
        run_script(scripts_dir, *flags, stdin="The [MASK] went.\n\n[MASK].\n").stdout == run.stdout
    )


def test_the_script_can_show_an_untrained_model(scripts_dir, model_dir, vocab_file):
    run = run_script(
        scripts_dir,
        "--untrained",
        f"--bert_config_file={model_dir}/bert_config.json",
        f"--vocab_file={vocab_file}",
        "the [MASK]",
    )
    assert run.returncode == 0, run.stderr
    assert "->" in run.stdout


def test_the_script_names_what_is_missing(scripts_dir, model_dir):
    assert "Give sentences" in run_script(scripts_dir, f"--model_dir={model_dir}").stderr
    run = run_script(scripts_dir, f"--model_dir={model_dir}", "[MASK]")
    assert run.returncode != 0
    assert "--vocab_file is needed" in run.stderr


def test_the_script_says_of_a_fine_tuned_model_what_predictor_says(scripts_dir, tmp_path):
    folder = write_model(tmp_path / "tuned", "classification")
    with pytest.raises(ValueError, match="no masked-LM head") as refused:
        bert_tf.Predictor(folder).fill_mask("The [MASK].")
    run = run_script(scripts_dir, f"--model={folder}", "The [MASK].")
    assert run.returncode == 1
    assert str(refused.value) in run.stderr
    assert "Traceback" not in run.stderr
