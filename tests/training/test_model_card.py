"""README.md beside a model: it says what the model is, how it was made, its metrics and its use."""

import re

import pytest
from random_models import CONFIG, VOCAB, make_model

from bert_tf import Predictor
from bert_tf.conversion.convert import convert
from bert_tf.formats import google, huggingface_outputs
from bert_tf.released.model_folder import description_of, needs_description, write_description
from bert_tf.settings import ConversionSettings
from bert_tf.training.model_card import update_metrics, write_model_card


def test_a_person_s_readme_stays_and_our_own_is_renewed(tmp_path):
    path = tmp_path / "README.md"
    write_model_card(str(tmp_path), CONFIG, ["First."], do_lower_case=False)
    (tmp_path / "eval_results.txt").write_text("global_step = 7\nloss = 1.5\n")
    write_model_card(str(tmp_path), CONFIG, ["Second."], kind="tagging", labels=("O", "B-PER"))
    text = path.read_text()
    for part in ("# BERT: tagging", "2 layers", "Labels: O, B-PER", "Second.", "- loss: 1.5"):
        assert part in text
    assert "First." not in text
    assert "[MASK]" not in text  # A tagging model fills no masks.
    path.write_text("mine")
    write_model_card(str(tmp_path), CONFIG, ["Third."])
    assert path.read_text() == "mine"


def test_a_later_evaluation_s_metrics_come_into_our_own_readme_only(tmp_path):
    path, results = tmp_path / "README.md", tmp_path / "eval_results.txt"
    update_metrics(str(tmp_path))
    assert not path.exists()
    write_model_card(str(tmp_path), CONFIG, ["First."])
    before = path.read_text()
    assert "[MASK]" in before
    results.write_text("eval_accuracy = 0.75\nglobal_step = 7\n")
    update_metrics(str(tmp_path))
    none = "None were computed on held-out data."
    assert path.read_text() == before.replace(none, "- eval_accuracy: 0.75\n- global_step: 7")
    results.write_text(r"eval_accuracy = \1" + "\n")
    update_metrics(str(tmp_path))
    assert path.read_text() == before.replace(none, r"- eval_accuracy: \1")
    path.write_text("mine\n\n## Metrics\n\nAll good.\n\n## Use")
    update_metrics(str(tmp_path))
    assert "All good." in path.read_text()


@pytest.mark.parametrize("to", ["google", "huggingface"])
@pytest.mark.parametrize("head", ["classification", "tagging", "span", "masked LM", ""])
def test_a_converted_folder_has_all_that_a_model_needs_and_its_readme_s_code_runs(
    head, to, tmp_path, monkeypatch
):
    monkeypatch.setattr(huggingface_outputs, "is_installed", lambda: False)
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))
    vocab = (*VOCAB[:-1], "the")
    model = make_model(head)
    google.write(model, str(tmp_path / "before"))
    if needs_description(model):
        description = description_of(model, inputs=("text_a", "text_b"))
        write_description(str(tmp_path / "before"), description)
    (tmp_path / "before" / "vocab.txt").write_text("\n".join(vocab) + "\n")
    (tmp_path / "before" / "eval_results.txt").write_text("eval_accuracy = 0.75\n")
    out = tmp_path / "out"
    convert(ConversionSettings(source=str(tmp_path / "before"), to=to, output_dir=str(out)))
    assert {"vocab.txt", "tokenizer_config.json", "README.md"} <= {p.name for p in out.iterdir()}
    text = (out / "README.md").read_text()
    assert "eval_accuracy: 0.75" in text
    assert "cased text" in text
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    values = {}
    exec(code, values)
    assert isinstance(values["predictor"], Predictor)
