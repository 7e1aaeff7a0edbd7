"""Text with marks: tokens in their text, and answers in their passage."""

import re

from bert_tf import notebook
from bert_tf.kinds.span import Answer, AnswerSpan


def visible(html):
    return re.sub(r"<[^>]+>", "", html)


def test_every_token_is_marked_where_it_is_and_the_text_stays_whole():
    text = "Café & <b>"
    html = notebook.mark_tokens(text, [(0, 4), (5, 6), (7, 8)])
    assert re.findall(r"<mark[^>]*>([^<]*)</mark>", html) == ["Café", "&amp;", "&lt;"]
    assert visible(html) == "Café &amp; &lt;b&gt;"


def test_neighbouring_tokens_have_different_colours():
    html = notebook.mark_tokens("ab c", [(0, 1), (1, 2), (3, 4)])
    first, second, third = re.findall(r"rgba\([^)]*\)", html)
    assert first != second
    assert first == third


def test_a_notebook_shows_the_html():
    assert notebook.mark_tokens("a", [(0, 1)])._repr_html_().startswith("<div")


def test_the_answer_is_marked_in_its_passage_and_the_best_are_listed():
    nbest = (
        AnswerSpan("Lima", 0.7, 4, 8),
        AnswerSpan("", 0.2, -1, -1),
        AnswerSpan("a", 0.1, 9, 10),
    )
    answer = Answer("Lima", 0.7, 4, 8, nbest, -3.0)
    html = notebook.mark_answers([("What?", "In <Lima> a")], [answer], num_best=2)
    assert re.findall(r"<mark[^>]*>([^<]*)</mark>", html) == ["Lima"]
    assert "In &lt;Lima&gt; a" in visible(html)
    assert "Lima 70%, <i>no answer</i> 20%" in html
    assert "10%" not in html


def test_no_answer_is_said_and_nothing_is_marked():
    answer = Answer("", 0.9, -1, -1, (AnswerSpan("", 0.9, -1, -1),), 2.0)
    html = notebook.mark_answers([("What?", "Nothing.")], [answer])
    assert "<mark" not in html
    assert "<b>What?</b> <i>no answer</i>" in html
