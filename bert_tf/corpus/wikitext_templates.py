"""Expands templates that occur within sentences.

    {{lang|fr|bonjour}} -> bonjour     {{convert|5|km|mi}} -> 5 km     {{cite book|title=A}} -> ""

A dump does not define its templates. This file knows common inline templates of a few Wikipedias;
others leave a gap in the sentence.
"""

import re
from collections.abc import Callable

from bert_tf.corpus.languages import LANGUAGES

# Arguments, by name or number, that may hold the text; the first one present is used.
_SHOWN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("nowrap", "nobr", "abbr", "small", "em", "strong", "sic"), ("1",)),
    **dict.fromkeys(("ruby", "ruby-ja", "ルビ", "読み仮名", "ふりがな"), ("1",)),
    **dict.fromkeys(("lang", "langr", "langue"), ("2",)),
    **dict.fromkeys(("transl", "transliteration"), ("3", "2")),
    "nihongo": ("1", "3", "2"),
    # Links to articles on another Wikipedia. {{link-en|...}} etc. work like `le`.
    "lien": ("texte", "1", "fr", "trad"),
    "le": ("d", "3", "1"),
    "tsl": ("4", "3"),
}
_LINKS = (
    *("ill", "ill2", "illm", "interlanguage link", "interlanguage link multi"),
    *("link-interwiki", "仮リンク"),
)
_SYMBOLS = {"–": " – ", "ndash": " – ", "snd": " – ", "spaced ndash": " – ", "—": "—", "mdash": "—"}
_ROMAN = re.compile(r"[IVX]+")
_LINK = re.compile(r"\[\[[^\[\]]*\]\]")
_NO_NAME = re.compile(r"[<>\[\]{}\"]")
_LONGEST = 1000  # characters; longer templates do not occur within sentences.


def template_text(content: str) -> str:
    """Returns the text that a template contributes to its sentence; "" for nearly all templates.

    `content` is the text between its braces, with inner templates already expanded.
    """
    if len(content) > _LONGEST:
        return ""
    # The pipes of links do not separate arguments.
    content = _LINK.sub(lambda link: link[0].replace("|", "\1"), content)
    name, *arguments = content.split("|")
    name = name.strip().lower().replace("_", " ")
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    if name.startswith("formatnum:"):
        return name.partition(":")[2].strip()
    parts = _parts(arguments)
    if name in _WRITTEN:
        return _WRITTEN[name](parts) if parts.get("1") or parts.get("2") else ""
    if name in _LINKS:  # {{ill|John Smith|de|lt=Smith}}; some Wikipedias have the language first.
        shown = ("lt", "label", "2" if parts.get("1") in LANGUAGES else "1")
    else:
        is_link = name.startswith("link-") and name[5:] in LANGUAGES
        shown = _SHOWN.get("le" if is_link else name, ())
    return next((parts[place] for place in shown if parts.get(place)), "")


def _parts(arguments: list[str]) -> dict[str, str]:
    """|a|x=b|4=c -> {"1": "a", "x": "b", "4": "c"}"""
    parts, number = {}, 0
    for argument in arguments:
        argument = argument.replace("\1", "|")
        name, equals, value = argument.partition("=")
        if equals and not _NO_NAME.search(name):  # Otherwise it is an HTML attribute or a URL.
            parts[name.strip().lower()] = value.strip()
        else:
            number += 1
            parts[str(number)] = argument.strip()
    return parts


def _numbered(parts: dict[str, str], most: int) -> list[str]:
    """Returns those of the first `most` numbered arguments that have text."""
    return [parts[str(n)] for n in range(1, most + 1) if parts.get(str(n))]


def _measure(parts: dict[str, str]) -> str:
    """{{convert|5|km|mi}}; {{convert|5|to|6|km|mi}}"""
    return " ".join(_numbered(parts, 4 if parts.get("2") in ("to", "and", "or") else 2))


def _number(parts: dict[str, str]) -> str:
    """{{unité|5|kg}}; {{nb|1000}}, which is a footnote in other Wikipedias."""
    return " ".join(_numbered(parts, 2)) if parts.get("1", "").strip("-−")[:1].isdigit() else ""


def _century(parts: dict[str, str]) -> str:
    """{{s|XIX|e}} in French; in other Wikipedias it is another template."""
    century = parts.get("1", "")
    ending = parts.get("2") or ("er" if century == "I" else "e")
    return f"{century}{ending} siècle" if _ROMAN.fullmatch(century) else ""


_WRITTEN: dict[str, Callable[[dict[str, str]], str]] = {
    **dict.fromkeys(("convert", "cvt"), _measure),
    **dict.fromkeys(("unité", "unite", "unidad", "unità", "nombre", "nb"), _number),
    **dict.fromkeys(("s", "s-"), _century),
    # {{date|14|juillet|1789|en littérature}}; {{date|14 juillet 1789}}
    **dict.fromkeys(("date", "date-"), lambda parts: " ".join(_numbered(parts, 3))),
    # {{val|5.2|u=m}}
    "val": lambda parts: f"{parts.get('1', '')} {parts.get('u') or parts.get('ul', '')}".strip(),
    # {{circa|1900|1910}}; not abbreviated, because not every language has the abbreviation.
    "circa": lambda parts: "circa " + " – ".join(_numbered(parts, 2)),
    # {{as of|2010}}, {{as of|2010|lc=y}}
    "as of": lambda parts: (
        parts.get("alt") or ("as of " if parts.get("lc") else "As of ") + parts.get("1", "")
    ),
}
