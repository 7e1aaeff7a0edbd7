"""The paragraphs of books: parted by blank lines, a line each, or wrapped without blank lines."""

import random
import textwrap

import pytest

from bert_tf.corpus.books import book_paragraphs, lines_of_books

WORDS = (
    "the quick brown fox jumps over a lazy dog while many other animals watch from some distance "
    "and think about what they saw in Berlin or London"
)


def make_paragraphs(number, seed=1):
    """Paragraphs of some sentences each; every fourth is one of speech, and short."""
    rng = random.Random(seed)

    def sentence(words):
        text = " ".join(rng.choice(WORDS.split()) for _ in range(words))
        return text[0].upper() + text[1:] + "."

    return [
        f"“{sentence(3)}”"
        if n % 4 == 3
        else " ".join(sentence(rng.randint(6, 20)) for _ in range(rng.randint(2, 7)))
        for n in range(number)
    ]


def paragraphs_of(text, language="en"):
    return list(book_paragraphs(text, language))


@pytest.mark.parametrize("width", [45, 72, 100])
@pytest.mark.parametrize("indentation", ["  ", "    ", "\t"])
def test_wrapped_lines_are_joined_where_paragraphs_are_indented(width, indentation):
    written = make_paragraphs(60)
    wrapped = [textwrap.fill(each, width, initial_indent=indentation) for each in written]
    read = paragraphs_of("\n".join(wrapped))
    assert " ".join(read) == " ".join(written)
    # Two are taken for one where the last line of the first is as long as the others.
    assert len(set(read) & set(written)) > 50


def test_wrapped_lines_are_joined_where_nothing_marks_paragraphs_but_their_last_line():
    written = make_paragraphs(60)
    read = paragraphs_of("\n".join(textwrap.fill(each, 72) for each in written))
    assert " ".join(read) == " ".join(written)
    assert len(read) > 40


def test_headings_between_wrapped_paragraphs_stay_by_themselves():
    text = """CHAPTER I
THE BEGINNING
  It was a dark night in the north of the
country, and nobody who lived there had any
wish to leave the house.
  “Wake up!” she said to the cat that
slept by the fire and did not hear
her.
CHAPTER II
  The next day it had begun to snow, and a
wolf was seen."""
    assert paragraphs_of(text) == [
        "CHAPTER I",
        "THE BEGINNING",
        "It was a dark night in the north of the country, and nobody who lived there had any wish "
        "to leave the house.",
        "“Wake up!” she said to the cat that slept by the fire and did not hear her.",
        "CHAPTER II",
        "The next day it had begun to snow, and a wolf was seen.",
    ]


def test_no_space_comes_between_wrapped_lines_of_chinese():
    line = "这" * 34
    text = f"　　{line}\n{line}\n{line}。\n　　{line}\n{line}。"
    assert paragraphs_of(text, "zh") == [line * 3 + "。", line * 2 + "。"]


@pytest.mark.parametrize("indentation", ["", "    "])
def test_a_line_is_a_paragraph_where_lines_are_not_wrapped(indentation):
    written = []
    for n, each in enumerate(make_paragraphs(40)):
        written += [f"Chapter {n}", each] if n % 5 == 0 else [each]
    assert paragraphs_of("\n".join(indentation + each for each in written)) == written


def test_names_a_line_are_not_taken_for_wrapped_text():
    names = ["Anna", "Bartholomew", "Christopher Robinson of the Old Mill", "Dora", "Emil Smith"]
    assert paragraphs_of("\n".join(names * 9)) == names * 9


def test_blank_lines_part_paragraphs_whatever_the_lines_are_like():
    written = make_paragraphs(9)
    text = "\n \n".join(textwrap.fill(each, 60, initial_indent="  ") for each in written)
    assert paragraphs_of(text) == written


LICENCE = [f"Licence {n}." for n in range(30)]
MARKS = [
    ("*** START OF THE PROJECT GUTENBERG EBOOK A ***", "*** END OF THE PROJECT GUTENBERG EBOOK A"),
    ("***START OF THIS PROJECT GUTENBERG EBOOK A***", "End of the Project Gutenberg EBook of A"),
    ("*** Start of the Project Gutenberg EBook A ***", "*** End of the Project Gutenberg EBook A"),
    ("*END*THE SMALL PRINT! FOR PUBLIC DOMAIN", "End of Project Gutenberg's Etext of A"),
]


@pytest.mark.parametrize(("start", "end"), MARKS)
def test_of_each_book_what_is_between_project_gutenbergs_marks_is_kept(start, end):
    first, second = ["CHAPTER I", "", "A cat."], ["A dog."]
    text = [*LICENCE, start, *first, end, *LICENCE, start, *second, end, *LICENCE]
    kept = [line for _, line in lines_of_books(enumerate(text, 1))]
    assert kept == [None, *first, None, None, *second, None]
    numbers = [number for number, line in lines_of_books(enumerate(text, 1)) if line == "A dog."]
    assert numbers == [text.index("A dog.") + 1]


def test_a_book_with_one_mark_is_kept_from_it_or_to_it():
    start, end = MARKS[0]
    assert [line for _, line in lines_of_books(enumerate([*LICENCE, start, "A."]))] == [None, "A."]
    assert [line for _, line in lines_of_books(enumerate(["A.", end, *LICENCE]))] == ["A.", None]
    both = ["A.", end, *LICENCE, start, "B."]
    assert [line for _, line in lines_of_books(enumerate(both))] == ["A.", None, None, "B."]


def test_an_empty_text_has_no_words():
    assert not any(paragraphs_of("\n"))
