"""The table of released models: shapes, counts, addresses, and what is known of their files."""

import hashlib
import json
import re

import pytest

from bert_tf import BertConfig, BertEncoder
from bert_tf.formats.names import weight_shapes
from bert_tf.released.models import RELEASED_MODELS, find_released_model, mirror_url
from bert_tf.released.released_model import BASE_URL, count_parameters

# As published with the models, by keras-hub and others.
PARAMETERS = {
    "bert_base_uncased": 109_482_240,
    "bert_large_uncased": 335_141_888,
    "bert_base_cased": 108_310_272,
    "bert_large_cased": 333_579_264,
    "bert_large_uncased_wwm": 335_141_888,
    "bert_base_chinese": 102_267_648,
    "bert_base_multilingual_cased": 177_853_440,
    "bert_tiny_uncased": 4_385_920,
    "bert_mini_uncased": 11_170_560,
    "bert_small_uncased": 28_763_648,
    "bert_medium_uncased": 41_373_184,
}
URLS = {
    "bert_base_uncased": "2018_10_18/uncased_L-12_H-768_A-12.zip",
    "bert_large_cased_wwm": "2019_05_30/wwm_cased_L-24_H-1024_A-16.zip",
    "bert_base_multilingual_uncased": "2018_11_03/multilingual_L-12_H-768_A-12.zip",
    "bert_base_multilingual_cased": "2018_11_23/multi_cased_L-12_H-768_A-12.zip",
    "bert_uncased_L-10_H-512_A-8": "2020_02_20/uncased_L-10_H-512_A-8.zip",
}


def test_all_33_are_there_each_by_a_name_of_its_own():
    assert len(RELEASED_MODELS) == 33
    names = [name for model in RELEASED_MODELS for name in (model.name, *model.aliases)]
    assert len(set(names)) == len(names) == 37
    assert len({model.path for model in RELEASED_MODELS}) == 33


def test_the_24_small_ones_are_every_depth_with_every_width():
    small = [model for model in RELEASED_MODELS if model.path.startswith("2020_02_20/")]
    shapes = {(model.num_hidden_layers, model.hidden_size) for model in small}
    assert shapes == {(n, h) for n in (2, 4, 6, 8, 10, 12) for h in (128, 256, 512, 768)}
    for model in small:
        assert model.hidden_size == 64 * model.num_attention_heads
        assert re.fullmatch(r"uncased_L-(\d+)_H-(\d+)_A-(\d+)", model.folder).groups() == (
            *(str(model.num_hidden_layers), str(model.hidden_size)),
            str(model.num_attention_heads),
        )


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parameters_are_as_many_as_were_published(name):
    assert find_released_model(name).num_parameters == PARAMETERS[name]


def test_the_formula_counts_the_weights_of_an_encoder_that_was_built():
    config = BertConfig(
        vocab_size=11,
        hidden_size=6,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=10,
        max_position_embeddings=7,
        type_vocab_size=3,
    )
    assert count_parameters(config) == BertEncoder(config).count_params()


@pytest.mark.parametrize("name", URLS)
def test_a_model_is_where_it_was_published(name):
    assert (
        find_released_model(name).url == f"https://storage.googleapis.com/bert_models/{URLS[name]}"
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("bert-base-uncased", "bert_base_uncased"),
        ("BERT_Tiny_Uncased", "bert_uncased_L-2_H-128_A-2"),
        ("chinese_L-12_H-768_A-12", "bert_base_chinese"),
        ("uncased_L-4_H-512_A-8", "bert_uncased_L-4_H-512_A-8"),
        # Released twice: the name of the folder means the first.
        ("uncased_L-12_H-768_A-12", "bert_base_uncased"),
        ("bert_uncased_L-12_H-768_A-12", "bert_uncased_L-12_H-768_A-12"),
    ],
)
def test_a_model_has_several_names(name, found):
    assert find_released_model(name).name == found


def test_an_unknown_name_is_refused_with_those_that_are_close():
    with pytest.raises(
        ValueError, match=r"'bert_bse_uncased'.*Similar names: bert_base_uncased.*--list"
    ):
        find_released_model("bert_bse_uncased")


def test_text_is_lower_cased_for_all_but_the_cased_ones():
    cased = {model.name for model in RELEASED_MODELS if not model.do_lower_case}
    assert cased == {
        *("bert_base_cased", "bert_large_cased", "bert_large_cased_wwm"),
        "bert_base_multilingual_cased",
    }


def test_scores_are_as_published():
    wwm = find_released_model("bert_large_uncased_wwm")
    assert {score.task: score.value for score in wwm.scores} == {
        "SQuAD 1.1 dev F1/EM": "92.8/86.7",
        "MNLI": "87.07",
    }
    medium = {s.task: s.value for s in find_released_model("bert_medium_uncased").scores}
    assert medium["GLUE score"] == "73.5"
    assert medium["AX Matthews"] == "30.5"
    chinese = find_released_model("bert_base_chinese").scores
    assert [score.value for score in chinese] == ["77.2"]


def test_sums_are_those_of_the_files_in_a_zip():
    known = [model for model in RELEASED_MODELS if model.sha256]
    assert len(known) == 7
    for model in known:
        assert set(model.sha256) == {
            *("bert_config.json", "vocab.txt", "bert_model.ckpt.index", "bert_model.ckpt.meta"),
            "bert_model.ckpt.data-00000-of-00001",
        }
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in model.sha256.values())


def test_a_mirror_takes_the_place_of_the_release(monkeypatch):
    model = find_released_model("bert_base_cased")
    monkeypatch.delenv("BERT_TF_MIRROR", raising=False)
    assert mirror_url(model) == model.url == f"{BASE_URL}/{model.path}"
    monkeypatch.setenv("BERT_TF_MIRROR", "http://models.example/bert/")
    assert mirror_url(model) == f"http://models.example/bert/{model.path}"
    assert mirror_url(model, "https://other.example") == f"https://other.example/{model.path}"
    with pytest.raises(ValueError, match=r"web address.*Received: '/mnt/models'"):
        mirror_url(model, "/mnt/models")


def test_the_documentation_has_the_same_table(scripts_dir):
    text = (scripts_dir.parent / "docs" / "models.md").read_text(encoding="utf-8")
    for model in RELEASED_MODELS:
        assert f" {model.num_parameters:,} " in text, model.name
        for score in model.scores:
            assert f"| {score.value} |" in text, (model.name, score)
        if model.path < "2020":
            assert f"[{model.path}]({model.url})" in text


@pytest.mark.data
@pytest.mark.parametrize("name", ["bert_base_uncased", "bert_base_cased", "bert_base_chinese"])
def test_the_real_vocabularies_have_their_sums_and_sizes(data_dir, name):
    content = (data_dir / "vocab" / f"{name}.txt").read_bytes()
    model = find_released_model(name)
    assert hashlib.sha256(content).hexdigest() == model.sha256["vocab.txt"]
    assert content.count(b"\n") == model.vocab_size


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("tf1_chinese_checkpoint_index", "bert_base_chinese"),
        ("tf1_medium_checkpoint_index", "bert_medium_uncased"),
    ],
)
def test_real_configs_and_indices_are_what_the_zoo_says(data_dir, folder, name):
    import tensorflow as tf

    model = find_released_model(name)
    path = data_dir / folder
    for file, expected in model.sha256.items():
        if (path / file).exists():
            assert hashlib.sha256((path / file).read_bytes()).hexdigest() == expected
    config = json.loads((path / "bert_config.json").read_text())
    expected = model.config.to_dict()
    assert {key: config[key] for key in expected} == expected
    found = tf.train.load_checkpoint(str(path / "bert_model.ckpt")).get_variable_to_shape_map()
    shapes = weight_shapes(model.config, ("cls/predictions/", "cls/seq_relationship/"))
    assert {key: tuple(shape) for key, shape in found.items()} == shapes
