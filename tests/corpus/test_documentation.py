"""Text from the documentation of installed packages: what is kept, what is not, in which order."""

import subprocess
import sys

import pytest

from bert_tf.corpus import documentation
from bert_tf.corpus.documentation import (
    collect_documents,
    documentation_strings,
    is_prose,
    prose_sentences,
    write_corpus,
)

MODULE = '''"""Tools for the mean of numbers. They need no other package."""

def mean(values):
    """Computes the mean of some numbers.

    The mean is the sum of all numbers, divided by
    how many there are. It is not robust, e.g. to outliers.

    Args:
      values: The numbers to take the mean of, as a list
        or as a tuple. They must not be empty.
      dtype: float32
    Returns:
      The mean as a `float` of the machine.

    >>> mean([1, 2])
    1.5
    """
    raise ValueError(f"The values are not of any use here.\\n\\nGive a list of them to {values}.")


add_documentation("median", """Finds the number in the middle.

Half of the numbers are not above it.""")
'''


def make_package(folder, monkeypatch, name="made_up_package", **files):
    """An importable package whose import would fail: documentation is to be read, not run."""
    package = folder / name
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('This package was imported.')\n")
    (package / "tests" / "cases.py").write_text('"""A test of the mean, which is no document."""')
    for stem, source in files.items():
        (package / f"{stem}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return name


def test_code_names_and_headings_are_left_out_of_a_docstring():
    text = """Computes the mean of `x`.

    Longer explanations that go over
    two lines are joined to one sentence. A second one follows.

    Parameters
    ----------
    axis : int, optional
        Axis along which the **mean** is taken, see
        [the guide](https://example.org) for the rest.

    For example::

        this is some code in a block that reads like the prose of the text.

    ```python
    print("this is code in a fence of the other kind.")
    ```

    | kind | is the best of all |
    |------|--------------------|

    * An item of a list, which goes
      on in the next line.

    >>> mean(x)
    the output of the session that is not a sentence.
    """
    assert prose_sentences(text) == [
        "Computes the mean of x.",
        "Longer explanations that go over two lines are joined to one sentence.",
        "A second one follows.",
        "Axis along which the mean is taken, see the guide for the rest.",
        "An item of a list, which goes on in the next line.",
    ]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Returns the index of the first match.", True),
        ("It is the same as for a list (or a tuple).", True),
        ('The mode is one of "same" or "valid".', True),
        ("Returns the index of the first match", False),
        ("Two words.", False),
        ("x = y + the value of z.", False),
        ("See https://example.org for all of the details.", False),
        ("One of float32, float64, int8, int16, int32, int64.", False),
        ("Gauss Legendre Hermite Laguerre polynomials quadrature rules series.", False),
        ("the " * 81 + "end.", False),
    ],
)
def test_a_sentence_is_told_from_code_by_its_words(sentence, expected):
    assert is_prose(sentence) is expected


def test_an_abbreviation_does_not_end_a_sentence():
    text = "A list of names, e.g. The Times, is what it returns. It is never empty."
    assert prose_sentences(text) == [
        "A list of names, e.g. The Times, is what it returns.",
        "It is never empty.",
    ]


def test_docstrings_and_other_long_strings_are_read_in_the_order_of_lines(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(MODULE, encoding="utf-8")
    texts = documentation_strings(path)
    assert [text.split(" ", 1)[0] for text in texts] == ["Tools", "Computes", "Finds"]


def test_a_file_that_is_not_python_is_left_out_with_a_warning(tmp_path, caplog):
    path = tmp_path / "template.py"
    path.write_text('"""The template of a file."""\nclass {{ name }}: pass\n', encoding="utf-8")
    assert documentation_strings(path) == []
    assert "template.py" in caplog.text


def test_a_package_is_read_without_being_imported(tmp_path, monkeypatch):
    name = make_package(tmp_path, monkeypatch, numbers=MODULE)
    assert list(collect_documents([name])) == [
        ["Tools for the mean of numbers.", "They need no other package."],
        [
            "Computes the mean of some numbers.",
            "The mean is the sum of all numbers, divided by how many there are.",
            "It is not robust, e.g. to outliers.",
            "The numbers to take the mean of, as a list or as a tuple.",
            "They must not be empty.",
            "The mean as a float of the machine.",
        ],
        ["Finds the number in the middle.", "Half of the numbers are not above it."],
    ]
    assert name not in sys.modules


def test_a_sentence_is_kept_once(tmp_path, monkeypatch):
    name = make_package(
        tmp_path,
        monkeypatch,
        a='"""The first of two files. A name for the operation."""',
        b='"""A name for the operation."""',
        c='"""A name for the operation. The last of all files."""',
    )
    assert list(collect_documents([name])) == [
        ["The first of two files.", "A name for the operation."],
        ["The last of all files."],
    ]


def test_every_nth_document_is_held_out_and_the_same_bytes_come_out_again(tmp_path, monkeypatch):
    files = {f"f{i:02}": f'"""The file with the number {"i" * (i + 1)}."""' for i in range(10)}
    name = make_package(tmp_path, monkeypatch, **files)
    counts = write_corpus(str(tmp_path / "out"), [name], held_out_share=0.2)
    train = (tmp_path / "out" / "train.txt").read_bytes()
    held_out = (tmp_path / "out" / "held_out.txt").read_text(encoding="utf-8")
    assert counts == (8, 2)
    assert held_out == "The file with the number iiiii.\n\nThe file with the number iiiiiiiiii.\n\n"
    assert train.startswith(b"The file with the number i.\n\nThe file with the number ii.\n\n")
    write_corpus(str(tmp_path / "again"), [name], held_out_share=0.2)
    assert (tmp_path / "again" / "train.txt").read_bytes() == train


def test_help_topics_and_the_standard_library_are_there_without_their_tests(monkeypatch):
    monkeypatch.setattr(
        documentation,
        "_source_files",
        lambda folder: [folder / "pydoc_data" / "topics.py", folder / "textwrap.py"],
    )
    documents = list(collect_documents(["python"]))
    sentences = {sentence for document in documents for sentence in document}
    assert "Text wrapping and filling." in sentences
    assert len(documents) > 60
    assert not any("::=" in sentence for sentence in sentences)


@pytest.mark.parametrize("package", ["no_such_package_anywhere", "os.path", "", "this"])
def test_a_package_that_is_not_installed_is_refused(package):
    with pytest.raises(ValueError, match="no installed package"):
        list(collect_documents([package]))


@pytest.mark.parametrize("share", [0, 1, -0.5, 2])
def test_an_impossible_share_is_refused_before_anything_is_written(tmp_path, share):
    with pytest.raises(ValueError, match="held_out_share"):
        write_corpus(str(tmp_path / "out"), ["numpy"], held_out_share=share)
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_behind_when_a_package_is_missing(tmp_path):
    with pytest.raises(ValueError, match="no_such_package"):
        write_corpus(str(tmp_path), ["no_such_package"])
    assert list(tmp_path.iterdir()) == []


def test_the_script_writes_both_files_and_says_how_many_documents(tmp_path, scripts_dir):
    run = subprocess.run(
        [
            sys.executable,
            scripts_dir / "collect_documentation.py",
            f"--output_dir={tmp_path}",
            "--packages=numpy",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["held_out.txt", "train.txt"]
    lines = (tmp_path / "train.txt").read_text(encoding="utf-8").splitlines()
    num_documents = sum(not line for line in lines)
    assert num_documents > 1000
    assert f"{num_documents:,} documents in {tmp_path}/train.txt" in run.stdout


def test_the_script_says_in_one_line_that_a_package_is_missing(tmp_path, scripts_dir):
    run = subprocess.run(
        [
            sys.executable,
            scripts_dir / "collect_documentation.py",
            f"--output_dir={tmp_path}",
            "--packages=no_such_package",
        ],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("Error: There is no installed package 'no_such_package'")
    assert list(tmp_path.iterdir()) == []
