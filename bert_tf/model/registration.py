"""Has Keras know this package's classes as soon as both are imported, so that models can be loaded.

`keras.saving.load_model` finds a class by the name that it was registered under, which happens when
its module is imported. `import bert_tf` imports none of these modules, as they load TensorFlow; so
they are imported when Keras is, whoever imports it, or at once if it is there already.
"""

import importlib
import importlib.abc
import importlib.util
import sys

# Modules with registered classes.
MODULES = (
    "bert_tf.model.task_heads",
    "bert_tf.kinds.choice",
    "bert_tf.pretraining.objectives.left_to_right",
    "bert_tf.text.preprocessor",
    "bert_tf.training.keras_optimizer",
)


class _KerasFinder(importlib.abc.MetaPathFinder):
    """Finds Keras once, and imports MODULES right after it."""

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
    """Imports MODULES if Keras is imported, or else has them imported when it is."""
    if "keras" not in sys.modules:
        sys.meta_path.insert(0, _KerasFinder())
    elif not _is_importing():
        register()


def register() -> None:
    """Imports MODULES, and so registers their classes with Keras."""
    for module in MODULES:
        importlib.import_module(module)


def _is_importing() -> bool:
    """Whether a module of this package is half imported: one that imports Keras itself."""
    ours = [module for name, module in list(sys.modules.items()) if name.startswith("bert_tf.")]
    return any(getattr(module.__spec__, "_initializing", False) for module in ours if module)
