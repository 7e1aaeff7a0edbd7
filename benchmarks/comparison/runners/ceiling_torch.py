"""The matrix products of a Transformer step alone, by PyTorch: how fast they can go."""

import torch
from ceiling_shapes import measure_products
from reporting import num_threads, read_settings, report_versions

settings = read_settings()
torch.set_num_threads(num_threads())


def make_product(rows: int, inner: int, columns: int, precision: str):
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    a, b = a.to(getattr(torch, precision)), b.to(getattr(torch, precision))
    return lambda: a @ b


measure_products(make_product, settings)
report_versions("torch")
