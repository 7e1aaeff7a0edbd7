"""ALBERT's released models: names, sizes, addresses, and their tar files."""

import dataclasses
import json
import tarfile

import pytest
from family_golden import family_file

import bert_tf
from bert_tf.formats.names import weight_shapes
from bert_tf.planning.plan import make_plan
from bert_tf.released import download
from bert_tf.released.archive import extract_checkpoint
from bert_tf.released.find_model import find_model
from bert_tf.released.models import find_released_model, mirror_url
from bert_tf.released.presets import Presets
from bert_tf.released.released_model import count_parameters
from bert_tf.released.successors import SUCCESSORS
from bert_tf.settings import PlanningSettings

# Of the encoders with their poolers, as Hugging Face counts them.
PARAMETERS = {"base": 11_683_584, "large": 17_683_968, "xlarge": 58_724_864, "xxlarge": 222_595_584}


@pytest.mark.parametrize("size", PARAMETERS)
def test_parameters_are_counted_as_published(size):
    for version in (1, 2):
        model = find_released_model(f"albert-{size}-v{version}")
        assert model.num_parameters == count_parameters(model.config) == PARAMETERS[size]
        assert model.url == (
            f"https://storage.googleapis.com/albert_models/albert_{size}_v{version}.tar.gz"
        )
        has_dropout = version == 1 and size != "xxlarge"
        assert model.config.hidden_dropout_prob == (0.1 if has_dropout else 0.0)


def test_counts_agree_with_the_weights():
    config = find_released_model("albert_base_v2").config
    sizes = weight_shapes(config).values()
    total = 0
    for shape in sizes:
        product = 1
        for size in shape:
            product *= size
        total += product
    assert total == PARAMETERS["base"]


def download_golden(model, vocabulary, name, folder):
    """Extracts a tar, with the golden weights and this file as `name`, as a download of `model`."""
    config = family_file("albert/albert_config.json")
    path = folder.with_name(f"{model}.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for part in (config, *config.parent.glob("model.ckpt-best.*")):
            archive.add(part, f"albert_base/{part.name}")
        archive.add(vocabulary, f"albert_base/{name}")
    folder.mkdir()
    download._extract(path, find_released_model(model), folder)


# Their word embeddings have 21,128 rows, and not 30,000.
CHINESE = {"base": 10_547_968, "large": 16_548_352, "xlarge": 57_589_248, "xxlarge": 221_459_968}


@pytest.mark.parametrize("size", CHINESE)
def test_the_chinese_ones_have_another_vocabulary_and_no_published_scores(size):
    model = find_released_model(f"albert_{size}_zh")
    assert model.num_parameters == CHINESE[size]
    assert model.url.endswith(f"storage.googleapis.com/albert_models/albert_{size}_zh.tar.gz")
    assert (model.vocab_size, model.do_lower_case, model.scores) == (21_128, True, ())
    english = find_released_model(f"albert_{size}_v2")
    assert dataclasses.replace(model.config, vocab_size=30_000) == english.config


@pytest.mark.filterwarnings("ignore:BertConfig does not use these keys")
def test_a_chinese_one_is_found_with_its_word_pieces(tmp_path):
    golden = family_file("albert/albert_config.json").read_text()
    num_rows = json.loads(golden)["vocab_size"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u732b", "\u72d7", "cafe"]
    tokens += [f"[unused{number}]" for number in range(num_rows - len(tokens))]
    vocabulary, folder = tmp_path / "vocab.txt", tmp_path / "albert_base_zh"
    vocabulary.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    download_golden("albert_base_zh", vocabulary, "vocab_chinese.txt", folder)
    found = find_model(str(folder))
    assert found.vocab_file == str(folder / "vocab_chinese.txt")
    assert found.do_lower_case is True
    tokenizer = bert_tf.FullTokenizer.from_preset(str(folder))
    assert tokenizer.tokenize("\u732b\u72d7 Caf\u00e9") == ["\u732b", "\u72d7", "cafe"]
    encoder = bert_tf.AlbertEncoder.from_preset(str(folder))
    assert encoder(tokenizer(["\u732b\u72d7"]))["sequence_output"].shape[:2] == (1, 4)


def test_they_are_listed_with_their_scores():
    models = [model for model in SUCCESSORS if model.config.model_type == "albert"]
    assert len(models) == 12
    assert "11,683,584" in repr(Presets(models))
    (score,) = [s for s in find_released_model("albert_xxlarge_v2").scores if s.task == "RACE"]
    assert score.value == "86.8"
    assert mirror_url(models[0], "http://x").endswith("x/albert_base_v1.tar.gz")


def test_a_plan_counts_shared_blocks_once_in_memory_and_each_time_in_flops():
    plans = {
        model: make_plan(PlanningSettings(model=model))
        for model in ("albert_base_v2", "bert_base_uncased")
    }
    albert, bert = plans["albert_base_v2"], plans["bert_base_uncased"]
    assert albert.parameters < bert.parameters / 8
    assert albert.phases[0].seconds_per_step == pytest.approx(
        bert.phases[0].seconds_per_step, rel=0.2
    )


@pytest.mark.filterwarnings("ignore:BertConfig does not use these keys")
def test_a_tar_is_extracted_and_other_tars_are_refused(tmp_path):
    vocabulary, folder = family_file("albert/spm.model"), tmp_path / "there"
    download_golden("albert_base_v2", vocabulary, "30k-clean.model", folder)
    assert {file.name for file in folder.iterdir()} == {
        *("albert_config.json", "30k-clean.model", "model.ckpt-best.index"),
        "model.ckpt-best.data-00000-of-00001",
    }
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w") as archive:
        archive.add(vocabulary, "../spm.model")
    wanted = r"no bert_config.json or albert_config.json in the archive.*spm.model"
    with pytest.raises(ValueError, match=wanted):
        extract_checkpoint(other, folder)
