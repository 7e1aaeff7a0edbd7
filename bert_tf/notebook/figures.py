"""Makes matplotlib figures that a notebook shows once: where a cell returns them."""

from typing import Any

# Blue and red that are told apart by readers with colour blindness, too.
BLUE, RED, GREY = "#1f6fb4", "#c8502a", "#7a7a7a"


def new_figure(
    num_rows: int, num_columns: int, width: float, height: float
) -> tuple[Any, list[Any]]:
    """Returns a figure of `width` x `height` inches and its axes, row by row.

    Raises a ValueError without matplotlib.
    """
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        raise ValueError(
            "Plots are drawn with matplotlib, the extra `notebook`: pip install matplotlib"
        ) from error
    figure, axes = plt.subplots(
        num_rows, num_columns, figsize=(width, height), layout="constrained", squeeze=False
    )
    plt.close(figure)  # Otherwise a notebook shows open figures once more at the cell's end.
    return figure, list(axes.flat)
