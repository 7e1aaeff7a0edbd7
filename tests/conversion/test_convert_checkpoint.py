"""run_scripts/convert_checkpoint.py as it is run: in a process, from there to here."""

import pytest
from random_models import make_model
from script_process import Script

from bert_tf.formats import google, huggingface

pytest.importorskip("safetensors", reason="needs: pip install safetensors")


def test_the_script_converts_and_prints_what_became_of_everything(scripts_dir, tmp_path):
    huggingface.write(make_model("pretraining"), str(tmp_path / "there"))
    script = Script(scripts_dir / "convert_checkpoint.py", tmp_path, {"to": "google"})
    done = script.run(**{"from": tmp_path / "there"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines[1:]] == [
        *("mapped", "dropped", "missing", "note", "verified")
    ]
    assert "46 (embeddings 5" in lines[1]
    weights = google.read(str(tmp_path / "out")).weights
    assert set(weights) == set(make_model("pretraining").weights)
