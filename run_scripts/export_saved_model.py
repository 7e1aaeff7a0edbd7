"""Exports a model for TensorFlow Serving: a SavedModel that takes raw text.

    python run_scripts/export_saved_model.py --model=/tmp/mrpc_output --export_dir=models/mrpc
    python run_scripts/export_saved_model.py --model=bert_base_uncased --export_dir=models/bert
    python run_scripts/export_saved_model.py --model=bert_base_uncased --kind=encoder \\
        --pooling=mean --export_dir=models/vectors

The first command writes models/mrpc/1, and the next time models/mrpc/2. The kind of the model
(classification, tagging, question answering, ..., masked LM after pre-training) is read from its
files. Before the folder gets its name, the SavedModel is loaded in another process and must give
the same outputs as the Python model. With --only_ids it takes ids, for tokenizers that TensorFlow
lacks, as RoBERTa's.

    docker run -p 8501:8501 -v $PWD/models/mrpc:/models/mrpc -e MODEL_NAME=mrpc tensorflow/serving

See docs/serving.md for signatures, outputs, and requests. Takes about a minute for BERT-Base.
"""

import command_line
from absl import flags

from bert_tf.settings import ExportSettings

command_line.define_flags(ExportSettings)
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    settings = command_line.settings_from_flags(ExportSettings)
    command_line.load_tensorflow()
    from bert_tf.serving.export import export_saved_model

    export = export_saved_model(settings)
    description = export.description
    print(f"{export.folder}: {description['kind']}")
    for name, signature in description["signatures"].items():
        inputs = ", ".join(f"{key} {spec}" for key, spec in signature["inputs"].items())
        print(f"  {name}({inputs})")
    for name, text in description["outputs"].items():
        print(f"    {name:22} {text}")
    if export.num_warmup_requests:
        print(f"  {export.num_warmup_requests} warm-up requests")
    if export.validation:
        print(f"  {export.validation}")
    if settings.tflite_file:
        print(f"  {settings.tflite_file}: the same model for TensorFlow Lite, with ids as input")


if __name__ == "__main__":
    command_line.run(main)
