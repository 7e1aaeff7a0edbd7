"""Says which processors compute, as what is fast on a CPU is not on an accelerator."""

from collections.abc import Callable

import tensorflow as tf


def has_accelerator() -> bool:
    """Returns whether TensorFlow sees anything but CPUs."""
    return any(d.device_type != "CPU" for d in tf.config.list_logical_devices())


def length_multiple() -> int:
    """Returns of which number a batch's length is a multiple.

    A CPU computes every column of padding: rounded up to 8, short sentences would take a sixth
    longer. Accelerators work in blocks, and prepare each shape once.
    """
    return 8 if has_accelerator() else 1


def is_one_cpu() -> bool:
    """Returns whether there is one CPU and nothing else, where compiling parts of a graph pays.

    XLA cannot compile for a part of a split CPU; on a GPU it needs CUDA's compiler, which may be
    absent. There and on a TPU the whole step can be compiled.
    """
    return len(tf.config.list_logical_devices()) == 1 and not has_accelerator()


def compiled(function: Callable) -> Callable:
    """Returns a function that XLA compiles, once for each shape of its arguments."""
    return tf.function(function, jit_compile=True, autograph=False)
