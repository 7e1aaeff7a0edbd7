"""ELECTRA's released models: names, sizes, plans, and their zips, which have no configuration."""

import dataclasses
import math
import zipfile

import electra_golden
import pytest
from family_golden import family_file

import bert_tf
from bert_tf.config import generator_config
from bert_tf.formats.names import weight_shapes
from bert_tf.model.encoders import make_encoder
from bert_tf.model.replaced_tokens import ReplacedTokensModel
from bert_tf.planning.costs import count_pretraining_parameters
from bert_tf.planning.plan import make_plan
from bert_tf.released import download, find_model
from bert_tf.released.models import find_released_model
from bert_tf.released.released_model import ReleasedModel, count_parameters
from bert_tf.released.successors import SUCCESSORS
from bert_tf.settings import PlanningSettings

# Of the discriminators' encoders, as Hugging Face counts them; the generators' width and heads.
PUBLISHED = {
    "small": (13_483_008, (256, 12, 4, 1024)),
    "base": (108_891_648, (256, 12, 4, 1024)),
    "large": (334_092_288, (256, 24, 4, 1024)),
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_sizes_are_the_published_ones(size):
    model, (parameters, generator) = find_released_model(f"electra-{size}"), PUBLISHED[size]
    assert model.num_parameters == count_parameters(model.config) == parameters
    shapes = weight_shapes(model.config).values()
    assert sum(math.prod(shape) for shape in shapes) == parameters
    assert model.url == f"https://storage.googleapis.com/electra-data/electra_{size}.zip"
    small = generator_config(model.config)
    sizes = (small.hidden_size, small.num_hidden_layers, small.num_attention_heads)
    assert (*sizes, small.intermediate_size) == generator
    assert len(model.scores) == 11
    pooled = dataclasses.replace(model.config, gelu_pooler=True)
    assert count_parameters(pooled) == sum(map(math.prod, weight_shapes(pooled).values()))


def test_a_plan_counts_both_models():
    config = dataclasses.replace(
        electra_golden.config(), vocab_size=50, hidden_size=64, intermediate_size=128
    )
    for changed in (config, dataclasses.replace(config, embedding_size=64)):
        trained = ReplacedTokensModel(make_encoder(changed, will_be_loaded=True))
        assert count_pretraining_parameters(changed) == trained.count_params()

    phases = ("seq128:1000000",)
    plans = {
        model: make_plan(PlanningSettings(model=model, phases=phases))
        for model in ("electra_base", "electra_small", "bert_base_uncased")
    }
    base, bert = plans["electra_base"], plans["bert_base_uncased"]
    assert 1.05 < base.flops / bert.flops < 1.35  # The generator's, less a head on 15 % of words.
    assert plans["electra_small"].days < bert.days / 3
    memory = {model: plan.phases[0].memory for model, plan in plans.items()}
    assert memory["electra_base"].activations > memory["bert_base_uncased"].activations


@pytest.fixture
def released(tmp_path, monkeypatch):
    """The golden checkpoint as a release, and its row among the models."""
    golden, config = family_file("electra/model.ckpt"), electra_golden.config()
    path = tmp_path / "electra_test.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part in ("index", "data-00000-of-00001"):
            archive.write(f"{golden}.{part}", f"electra_test/electra_test.{part}")
        archive.writestr("electra_test/checkpoint", 'model_checkpoint_path: "electra_test"\n')
        words = family_file("electra/vocab.txt").read_text()
        archive.writestr("electra_test/vocab.txt", words)
        archive.writestr("__MACOSX/vocab.txt", "")

    class Small(ReleasedModel):
        @property
        def config(self):
            return config

    sizes = (config.num_hidden_layers, config.hidden_size, config.num_attention_heads)
    row = Small(
        "electra_test", "electra_test.zip", *sizes, config.vocab_size, True, has_config=False
    )
    monkeypatch.setattr("bert_tf.released.models.SUCCESSORS", (*SUCCESSORS, row))
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))
    return path, row


def test_a_zip_is_loaded_with_the_configuration_of_its_name(released, tmp_path):
    path, row = released
    found = find_model.find_model(str(path))
    assert bert_tf.BertConfig.from_json_file(found.bert_config_file) == row.config
    assert (found.init_checkpoint[-13:], found.do_lower_case) == ("/electra_test", True)
    encoder = bert_tf.ElectraEncoder.from_preset(str(path))
    assert encoder.config == row.config
    other = path.rename(tmp_path / "another.zip")
    with pytest.raises(
        ValueError, match=r"there is no bert_config.json or albert_config.json in the archive"
    ):
        find_model.find_model(str(other))


def test_a_download_is_checked_against_the_sizes(released, tmp_path):
    path, row = released
    for number, layers in enumerate((row.num_hidden_layers, row.num_hidden_layers + 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = dataclasses.replace(row.config, num_hidden_layers=layers)
        model = type("Other", (type(row),), {"config": config})(
            *(row.name, row.path, layers, row.hidden_size, 4, row.vocab_size, True),
            has_config=False,
        )
        if layers == row.num_hidden_layers:
            download._extract(path, model, folder)
            assert (folder / "bert_config.json").exists()
        else:
            with pytest.raises(ValueError, match="of the model's variables are not in it"):
                download._extract(path, model, folder)
