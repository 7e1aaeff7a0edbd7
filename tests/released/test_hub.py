"""Models of the Hugging Face Hub, from a server that answers as it does."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import forked_python
import pytest
from hub_server import HubServer

from bert_tf.released.hub import download_from_hub
from bert_tf.released.models import find_released_model
from bert_tf.released.successors import SUCCESSORS
from bert_tf.text.byte_bpe_learner import learn_byte_bpe

pytest.importorskip("huggingface_hub", reason="needs: pip install huggingface_hub")

# Prints what is found. In a process of its own, as the library looks for its server when imported,
# which it must not have been by Keras.
FIND = """
import dataclasses, json, sys
for name in [name for name in sys.modules if name.startswith("huggingface_hub")]:
    del sys.modules[name]
from bert_tf.released.find_model import find_model
try:
    print(json.dumps(dataclasses.asdict(find_model(sys.argv[1]))))
except (ValueError, OSError) as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture
def hub(golden_dir, tmp_path):
    """Serves a small RoBERTa, also under the name of a released one, and other repositories."""
    folder = tmp_path / "small"
    shutil.copytree(golden_dir / "family" / "hf_roberta" / "masked_lm", folder)
    licence = golden_dir.parent.parent / "LICENSE"
    learn_byte_bpe(str(licence), str(folder / "tokenizer.json"), vocab_size=320)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.json").write_text("{}")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text((folder / "config.json").read_text())
    names = ("someone/small", "FacebookAI/roberta-base")
    old = golden_dir / "transformers_tensorflow" / "classifier"
    others = {"someone/empty": empty, "someone/tensorflow": old}
    server = HubServer({**dict.fromkeys(names, folder), **others})
    yield server
    server.stop()


@pytest.fixture
def find(tmp_path, hub):
    def run(name, **environment):
        own = {"HF_ENDPOINT": hub.address, "BERT_TF_CACHE": str(tmp_path / "cache")}
        result = forked_python.run(
            [sys.executable, "-c", FIND, name],
            env={**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", **own, **environment},
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])

    return run


@pytest.mark.parametrize("name", ["hf://someone/small", "roberta_base"])
def test_a_model_is_downloaded_and_converted_once_and_then_needs_no_network(name, find, hub):
    found = find(name)
    folder = Path(found["bert_config_file"]).parent
    assert found["do_lower_case"] is False
    assert Path(found["vocab_file"]).name == "tokenizer.json"
    assert json.loads((folder / "bert_config.json").read_text())["model_type"] == "roberta"
    assert not [request for request in hub.requests if "onnx/model.json" in request]
    hub.stop()
    assert find(name, HF_HUB_OFFLINE="1") == found


def test_a_repository_with_weights_of_tensorflow_alone_is_read(find):
    config = json.loads(Path(find("hf://someone/tensorflow")["bert_config_file"]).read_text())
    assert (config["hidden_size"], config["hidden_act"]) == (8, "gelu_erf")


def test_programs_take_the_name(hub, scripts_dir, tmp_path):
    own = {"HF_ENDPOINT": hub.address, "BERT_TF_CACHE": str(tmp_path / "cache")}
    for command in (
        ("plan_pretraining.py", "--model=hf://someone/small", "--phases=seq16:100"),
        (
            *("convert_checkpoint.py", "--from=hf://someone/small", "--to=google"),
            f"--output_dir={tmp_path}/converted",
        ),
    ):
        result = subprocess.run(
            [sys.executable, scripts_dir / command[0], *command[1:]],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "converted" / "bert_model.ckpt.index").exists()
    assert (tmp_path / "converted" / "tokenizer.json").exists()


def test_a_revision_has_a_folder_of_its_own(find):
    main, other = find("hf://someone/small"), find("hf://someone/small@main")
    assert "small_main" in other["init_checkpoint"]
    assert main["init_checkpoint"] != other["init_checkpoint"]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("hf://someone/nothing", "ValueError", "hf://someone/nothing is not in the Hub, or needs"),
        ("hf://someone/small@v9", "ValueError", "hf://someone/small@v9 is not in the Hub"),
        ("hf://someone/empty", "ValueError", "has no weights in safetensors, of PyTorch or"),
    ],
)
def test_what_is_not_there_is_named(name, kind, message, find):
    error, text = find(name)
    assert error == kind
    assert message in text


@pytest.mark.parametrize("name", ["hf://someone/small", "roberta_base"])
def test_without_a_network_the_name_is_in_the_message(name, find, hub):
    hub.stop()
    error, text = find(name)
    assert error == "ConnectionError"
    assert re.match("hf://(someone/small|FacebookAI/roberta-base) cannot be downloaded", text)


@pytest.mark.parametrize("name", ["hf://small", "hf://a/b/c", "hf://", "hf://a/b@"])
def test_malformed_names_are_refused(name):
    with pytest.raises(ValueError, match=r"is named hf://OWNER/NAME\. Received: "):
        download_from_hub(name)


# As `num_parameters` in the Hub: the encoder and any pooler.
SIZES = {
    "roberta_base": 124_645_632,
    "roberta_large": 355_359_744,
    "distilbert_base_uncased": 66_362_880,
    "distilroberta_base": 82_118_400,
    "spanbert_base_cased": 108_310_272,
}


def test_released_models_of_the_hub_are_known_by_name_with_their_sizes():
    assert {model.name for model in SUCCESSORS if model.is_on_hub} >= set(SIZES)
    for name, size in SIZES.items():
        assert find_released_model(name).num_parameters == size
    assert find_released_model("roberta-large").url.endswith("co/FacebookAI/roberta-large")
    assert find_released_model("distilbert_base_cased").config.model_type == "distilbert"
