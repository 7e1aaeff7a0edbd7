"""What contestants, figures and numbers are called in tables and plots."""

from comparison.case import package_of, variant_of

_NAMES = {
    "bert_tf": "bert_tf",
    "original": "google-research",
    "keras_hub": "keras-hub",
    "huggingface": "Hugging Face",
    "onnxruntime": "ONNX Runtime",
}
_CEILINGS = {"ceiling:tensorflow": "TensorFlow", "ceiling:torch": "PyTorch"}
_UNITS = {"_per_second": "/s", "_seconds": ", s", "_ms": ", ms", "_mb": ", MB", "_score": ""}
_MEASURES = {"gflops": "GFLOP/s", "peak_mb": "peak memory, MB", "process_seconds": "process, s"}


def name_of(contestant: str) -> str:
    """Returns a contestant's name: `huggingface:by_length` is "Hugging Face, by length"."""
    if contestant in _CEILINGS:
        return _CEILINGS[contestant]
    variant = variant_of(contestant).replace("_", " ")
    name = _NAMES[package_of(contestant)]
    return f"{name}, {variant}" if variant else name


def label_of(measure: str) -> str:
    """Returns a figure's name and unit: `step_seconds` is "step, s"."""
    if measure in _MEASURES:
        return _MEASURES[measure]
    for ending, unit in _UNITS.items():
        if measure.endswith(ending):
            return measure.removesuffix(ending).replace("_", " ") + unit
    return measure.replace("_", " ")


def number_of(value: float) -> str:
    """Returns three significant digits, and more of large numbers."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
