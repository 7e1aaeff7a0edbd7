"""Extracts the paragraphs of HTML pages, and of articles from WikiExtractor.

    <h1>Cats</h1><p>A cat &amp; a <b>dog</b>.</p>     ->   A cat & a dog.

    <doc id="12" url="..." title="Cat">
    Cat                                                ->   Cat
    A cat &amp; a dog.                                      A cat & a dog.
    </doc>

Regular expressions that stop at the next `<`, because the time that Python's parser takes for
broken pages grows with the square of their length.
"""

import re
from collections.abc import Iterator

from bert_tf.text.markup import unescape

# Removed with their content, up to the end of the page if they are not closed.
_DROPPED = re.compile(
    r"<(title|script|style|template|svg|math|nav|textarea|select|button|iframe|noscript|h[1-6])\b"
    r"[^<>]*(?<!/)>.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_INSIDE = r"""(?:[^<>"']|"[^"<]*"|'[^'<]*')*"""
_BREAKING = re.compile(
    r"</?(?:address|article|aside|blockquote|body|caption|center|dd|details|dialog|div|dl|doc|dt|"
    r"figcaption|figure|footer|form|header|hr|html|li|main|ol|option|p|pre|section|summary|table|"
    rf"tbody|td|tfoot|th|thead|tr|ul)\b{_INSIDE}>|(?:<br\b[^<>]*>\s*){{2,}}",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"<br\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(rf"<[/!?]?[a-z]{_INSIDE}>|</?[a-z!?][^<>]*>", re.IGNORECASE)
_BREAK = "\1"


def web_page_paragraphs(text: str) -> Iterator[str]:
    """Yields the paragraphs of HTML, without headings, scripts and navigation."""
    text = _BREAKING.sub(_BREAK, _DROPPED.sub(_BREAK, text))
    return map(unescape, _TAG.sub("", _LINE_BREAK.sub(" ", text)).split(_BREAK))


def extracted_paragraphs(text: str) -> Iterator[str]:
    """Yields the paragraphs of an article from WikiExtractor, which writes one on each line."""
    return web_page_paragraphs(text.replace("\n", _BREAK))
