"""The matrix products of a Transformer step alone, by TensorFlow: how fast they can go."""

import tensorflow as tf
from ceiling_shapes import measure_products
from reporting import read_settings, report_versions

settings = read_settings()
dtypes = {"float32": tf.float32, "bfloat16": tf.bfloat16}


def make_product(rows: int, inner: int, columns: int, precision: str):
    a = tf.cast(tf.random.stateless_normal([rows, inner], [1, 2]), dtypes[precision])
    b = tf.cast(tf.random.stateless_normal([inner, columns], [3, 4]), dtypes[precision])
    return lambda: tf.linalg.matmul(a, b)


measure_products(make_product, settings)
report_versions("tensorflow")
