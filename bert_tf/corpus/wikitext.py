"""Extracts the paragraphs of an article from wikitext.

    == Habitat ==                                      Cats live with people.
    '''Cats''' live with [[human|people]].<ref>x</ref>     ->
    * [[Felidae]]

Large blocks are removed first (wikitext_blocks.py), then headers, list items and table rows. Then
mwparserfromhell parses each paragraph: links, emphasis and character references. So it sees only a
third of the text, without the slow parts, and unclosed markup ends with its paragraph.
"""

import itertools
import re
from collections.abc import Iterator

from bert_tf.corpus.languages import LANGUAGES
from bert_tf.corpus.wikitext_blocks import ADDRESS, as_references, remove_blocks

# Prefixes of links to files, categories and other languages, which are dropped. A dump lists only
# one name of the File namespace, so here are others.
_FILE_PREFIXES = """
file image category media bild fichier ficheiro imagen archivo immagine imagem afbeelding bestand
plik grafika obrázek soubor fil kuva tiedosto изображение зображення файл 画像 ファイル 图像 圖像
文件 檔案 파일 그림 קובץ תמונה پرونده تصویر ملف صورة चित्र
"""
DROPPED_PREFIXES = LANGUAGES.union(_FILE_PREFIXES.split())

_HEADING_TAG = re.compile(r"<h[1-6]\b[^<>]*>[^\n]{0,200}?</h[1-6]\s*>", re.IGNORECASE)
_BREAKING_TAG = re.compile(
    r"</?(?:p|div|blockquote|center|poem|h[1-6]|hr|tr|li|dd|dt)\b[^<>]*>", re.IGNORECASE
)
_LINE_BREAK = re.compile(r"</?br\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:[\s/][^<>]*)?>", re.IGNORECASE)
_OPEN_ANGLE = re.compile(r"<(?=[a-z/!?])", re.IGNORECASE)
_VARIANTS = re.compile(r"-\{([^{}]*)\}-")
_FLAGS = re.compile(r"[A-Za-z;\s-]*\|")
# Flags of -{...}- that show nothing: a title, a rule for the rest of the page, the end of a rule.
_HIDDEN = frozenset("TH-")
# __NOTOC__, __KEIN_INHALTSVERZEICHNIS__, __notoc__; not __init__.
_MAGIC_WORD = re.compile(r"__([^\W\d_]{2,}(?:_[^\W\d_]+)*)__")
_ENGLISH_MAGIC_WORDS = """
notoc toc forcetoc noeditsection nogallery newsectionlink nonewsectionlink hiddencat index noindex
staticredirect disambig notitleconvert notc nocontentconvert nocc
"""
_REFERENCE = re.compile(r"&#(?:[xX][0-9a-fA-F]{1,8}|[0-9]{1,8});")
_NO_CHARACTER = "\ufffd"  # `&#xD800;`, a lone surrogate, becomes this.
_UNCLOSED_ADDRESS = re.compile(rf"\[(?={ADDRESS})(?![^\]\n]{{0,500}}\])")
_MARKUP = re.compile(rf"''|\[\[|&|\[{ADDRESS}")
_QUOTES = re.compile(r"'{2,}")
# Emphasis with nothing inside or next to it that gives quotes another meaning.
_PLAIN_EMPHASIS = re.compile(r"(?<!')('{2,3})(?!')([^'\[\]<&]+(?:'[^'\[\]<&]+)*)\1(?!')")
_MAX_QUOTES = 1000
_EMPTY_BRACKETS = re.compile(r"\s*[(（]\s*[,;:.，；、]*\s*[)）]")
_AFTER_BRACKET = re.compile(r"(?<=[(（])\s*[,;，；、]\s*|(?<=[(（])\s+")
_BEFORE_CLOSING = re.compile(r"(?<![\s,;:、，；])[\s,;:、，；]+(?=[)）])")
_BEFORE_MARK = re.compile(r"\s+(?=[,.)](?:\s|$))")
_NOT_PROSE = ("=", "*", "#", ":", ";", "|", "{|", "----")
# !Kung is a word.
_HEADER_CELL = re.compile(r"!(?:\s|$|.*(?:!!|\|\|)|[^\[|=]*=[^\[|]*\|)")

# Templates of disambiguation pages. The whole name must match: others that begin alike occur in any
# article, such as {{disambiguation needed}} and {{Begriffsklärungshinweis}}.
_DISAMBIGUATION_NAMES = (
    r"disambig(?:uation)?(?:(?: |-)cleanup| page)?|disamb|dab|hndis(?:(?: |-)cleanup)?|geodis|"
    r"roaddis|schooldis|hospitaldis|numberdis|mathdab|mathematical disambiguation|human name dis|"
    r"(?:human name|place name|airport|biology|call sign|chinese title|genus|hospital|"
    r"letter[–-]number combination|military unit|music|political party|road|school|"
    r"species latin name(?: abbreviation)?|station|taxonomic authority) disambiguation|"
    r"begriffsklärung|homonymie(?: (?:de |d['’])[^{|}\n]{0,60})?|desambig|desambiguaci[oó]n?|"
    r"desambiguação|disambigua|disambiguasi|doorverwijspagina|dp|ujednoznacznienie|"
    r"неоднозначность|багатозначність|(?:robotskapad )?förgrening(?:ssida)?|grensida|rozcestník|"
    r"egyért|aimai|(?:\w{1,10}の)?曖昧さ回避|(?:人名|地名|中文)?消歧[义義][页頁]?|동음이의어?|"
    r"توضيح|ابهام(?: |\u200c)?زدایی|פירושונים|anlam ayrımı|täsmennyssivu|trang định hướng"
)
_DISAMBIGUATION = re.compile(
    r"(?i)__DISAMBIG__|\{\{\s*(?:" + _DISAMBIGUATION_NAMES.replace(" ", "[ _]") + r")\s*[|}]"
)


def is_disambiguation(title: str, text: str) -> bool:
    """Returns whether a page only lists articles with the same name."""
    return title.endswith("(disambiguation)") or _DISAMBIGUATION.search(text) is not None


def article_paragraphs(text: str, dropped_prefixes: frozenset[str]) -> Iterator[str]:
    """Yields the paragraphs of an article, each on one line, without markup.

    `dropped_prefixes` are `DROPPED_PREFIXES` and the wiki's own words.
    """
    text = remove_blocks(text, dropped_prefixes)
    if "<" in text:
        text = _BREAKING_TAG.sub("\n\n", _HEADING_TAG.sub("\n\n", text))
        text = _OPEN_ANGLE.sub("&lt;", _TAG.sub("", _LINE_BREAK.sub(" ", text)))
    text = _MAGIC_WORD.sub(_without_magic, _VARIANTS.sub(_first_variant, text))
    paragraphs = map(_plain_text, _join_lines(text.split("\n")))
    return (paragraph for paragraph in paragraphs if paragraph)


def _join_lines(lines: list[str]) -> Iterator[str]:
    """Joins lines into paragraphs, which end at an empty line, header, list item or table row."""
    prose = []
    in_table = False  # Only the table's rows are left.
    for line in map(str.strip, lines):
        is_header = line.startswith("!") and (in_table or bool(_HEADER_CELL.match(line)))
        in_table = is_header or line.startswith(("|", "{|"))
        prose.append("" if is_header or line.startswith(_NOT_PROSE) else line)
    for has_text, paragraph in itertools.groupby(prose, bool):
        if has_text:
            yield " ".join(paragraph)


def _plain_text(paragraph: str) -> str:
    import mwparserfromhell

    if "[" in paragraph:
        paragraph = _UNCLOSED_ADDRESS.sub("", paragraph)
    if "&#" in paragraph:
        paragraph = _REFERENCE.sub(
            lambda match: as_references(match[0]).replace(_NO_CHARACTER, ""), paragraph
        )
    if "''" in paragraph:
        paragraph = _PLAIN_EMPHASIS.sub(r"\2", paragraph)
    if _MARKUP.search(paragraph):
        if paragraph.count("''") > _MAX_QUOTES:  # Not prose, and parsing would take seconds.
            paragraph = _QUOTES.sub("", paragraph)
        paragraph = mwparserfromhell.parse(paragraph).strip_code(normalize=True, collapse=True)
        paragraph = _QUOTES.sub("", paragraph)
    paragraph = " ".join(paragraph.split())
    if "(" in paragraph or "（" in paragraph:
        paragraph = _BEFORE_CLOSING.sub("", _AFTER_BRACKET.sub("", paragraph))
        paragraph = _EMPTY_BRACKETS.sub("", paragraph)
    return _BEFORE_MARK.sub("", paragraph).strip()


def _without_magic(match: re.Match) -> str:
    """Removes magic words of MediaWiki: in capitals in any language, in any case in English."""
    word = match[1]
    is_magic = word == word.upper() or word.lower() in _ENGLISH_MAGIC_WORDS.split()
    return "" if is_magic else match[0]


def _first_variant(match: re.Match) -> str:
    """`-{zh-hans:计算机; zh-hant:電腦}-` -> 计算机; `-{H|...}-`, which shows nothing, -> ""."""
    flags = _FLAGS.match(match[1])
    if flags and _HIDDEN.intersection(flags[0].strip("|").replace(" ", "").split(";")):
        return ""
    content = match[1][flags.end() if flags else 0 :]
    first = content.split(";")[0]
    variant, colon, words = first.partition(":")
    return words.strip() if colon and variant.strip().startswith(("zh", "sr")) else content
