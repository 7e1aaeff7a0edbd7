"""Registers this package's classes with Keras, so that `keras.saving.load_model` finds them.

Importing a module registers its classes. `import bert_tf` does not import MODULES, as they load
TensorFlow: they are imported right after Keras, or at once if Keras is already imported.
"""

import importlib
import importlib.abc
import importlib.util
import sys

MODULES = (  # With registered classes.
    "bert_tf.model.albert",
    "bert_tf.model.replaced_tokens",
    "bert_tf.model.distilbert",
    "bert_tf.model.roberta",
    "bert_tf.model.task_heads",
    "bert_tf.model.tagging_model",
    "bert_tf.model.siamese",
    "bert_tf.model.role_model",
    "bert_tf.model.coreference",
    "bert_tf.model.token_lm",
    "bert_tf.pretraining.objectives.left_to_right",
    "bert_tf.text.preprocessor",
    "bert_tf.training.keras_optimizer",
)


class _KerasFinder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module) -> None:
                execute(module)
                if not _is_importing():
                    register()

            spec.loader.exec_module = execute_and_register
        return spec


def register_with_keras() -> None:
    """Imports MODULES once Keras is imported, or now if it is already."""
    if "keras" not in sys.modules:
        sys.meta_path.insert(0, _KerasFinder())
    elif not _is_importing():
        register()


def register() -> None:
    """Imports MODULES, which registers their classes with Keras."""
    for module in MODULES:
        importlib.import_module(module)


def _is_importing() -> bool:
    """Returns whether a module of this package, which may be importing Keras, is half imported."""
    ours = [module for name, module in list(sys.modules.items()) if name.startswith("bert_tf.")]
    return any(getattr(module.__spec__, "_initializing", False) for module in ours if module)
