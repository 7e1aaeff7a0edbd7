"""Runs a script up to where its library function would be called, and prints what that is given.

    python recorded_settings.py SCRIPT --flag=value ...

The functions are replaced before the script is loaded, so nothing loads TensorFlow.
"""

import dataclasses
import json
import runpy
import sys
import types
from pathlib import Path

from absl import flags


def record(settings, *_, **__):
    print("RECORDED " + json.dumps(dataclasses.asdict(settings)))
    return types.SimpleNamespace(lines=list, problems=())


def fill_nothing(*_, **__):
    return types.SimpleNamespace(predict=lambda _: [])


def replace(module: str, **names) -> None:
    fake = types.ModuleType(module)
    vars(fake).update(names)
    sys.modules[module] = fake


def main(script: Path, arguments: list[str]) -> None:
    replace("bert_tf.finetuning.program", run_finetuning=record)
    replace("bert_tf.pretraining.run", run_pretraining=record)
    replace("bert_tf.features.extraction", extract_features=record)
    replace("bert_tf.pretraining_data.program", create_pretraining_data=record)
    replace("bert_tf.inference.load_model", load_model=record, need_head=lambda *_: None)
    replace("bert_tf.kinds.masked_lm", MaskFiller=fill_nothing)
    sys.path.insert(0, str(script.parent))
    import command_line

    command_line.load_tensorflow = lambda: None
    sys.argv = [str(script), *arguments]
    module = runpy.run_path(str(script), run_name="recorded")
    try:
        words = flags.FLAGS(sys.argv)
        module["main"](words)
    except (flags.Error, ValueError) as error:
        print(f"REFUSED {error}")
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
