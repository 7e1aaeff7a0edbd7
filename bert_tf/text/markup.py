"""Recognizes lines that are markup or data, not sentences; resolves character references."""

import html
import re

_MARKUP = re.compile(
    r"(?P<tags></?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?/?>|<!--|<!DOCTYPE)"
    r"|(?P<entities>&(?:[A-Za-z]{2,8}|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)"
    r"|(?P<wikitext>\[\[|\{\{|\{\||'''|^==)"
    r"|(?P<base64>;base64,)"
)
_SIGNS = ("<", "&", "[[", "{{", "{|", "'''", "==", ";base64,")
_JSON = re.compile(r'[{\[]\s*(?:["{\[]|$)|"[^"]{1,40}"\s*:|[}\]],?$')
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9A-Fa-f]{9,};?")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{57,}={0,2}$")


def find_markup(line: str) -> str:
    """Returns what a line without surrounding white space holds: "tags", "JSON", ..., or ""."""
    if line[:1] in '{["}]' and _JSON.match(line):
        return "JSON"
    if " " not in line[:57] and _BASE64.match(line):
        return "base64"
    if not any(map(line.__contains__, _SIGNS)):  # Nearly all lines; the search is slow.
        return ""
    match = _MARKUP.search(line)
    return match.lastgroup if match else ""


def unescape(text: str) -> str:
    """Replaces `&amp;`, `&#233;`, ... as `html.unescape` does, which fails on long numbers."""
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text))
