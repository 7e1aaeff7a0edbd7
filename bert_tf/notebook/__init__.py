"""What the notebooks in colab/ show: plots, marked text, sample data and a small model.

    plots       plot_attention, plot_similarity, plot_pretraining, plot_history, plot_confusion,
                plot_thresholds, plot_speed; each returns a matplotlib figure (extra `notebook`)
    text        mark_tokens, mark_answers; each returns HTML that a notebook shows
    measuring   measure_speed, threshold_curve, word_vectors
    samples     sample_file, read_table, write_tfds, write_questions
    models      small_bert, small_encoder

Importing it loads neither TensorFlow nor matplotlib: names are looked up when first used.
"""

import importlib

# Public name -> the module that defines it.
_PUBLIC_NAMES = {
    "plot_attention": "attention_plots",
    "plot_similarity": "attention_plots",
    "plot_pretraining": "training_plots",
    "plot_history": "training_plots",
    "plot_confusion": "result_plots",
    "plot_thresholds": "result_plots",
    "plot_speed": "result_plots",
    "mark_tokens": "marked_text",
    "mark_answers": "marked_text",
    "measure_speed": "speed",
    "threshold_curve": "thresholds",
    "word_vectors": "words_in_context",
    "sample_file": "sample_data",
    "read_table": "sample_data",
    "write_tfds": "sample_data",
    "write_questions": "sample_questions",
    "small_bert": "small_models",
    "small_encoder": "small_models",
}

__all__ = list(_PUBLIC_NAMES)


def __getattr__(name: str):
    if name not in _PUBLIC_NAMES:
        raise AttributeError(f"module 'bert_tf.notebook' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bert_tf.notebook.{_PUBLIC_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
