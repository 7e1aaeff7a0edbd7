"""Removes blocks that are not prose from wikitext: templates, tables, references, files.

    The '''cat'''{{efn|{{lang|la|felis}}}} purrs.<ref>{{cite book}}</ref>   The '''cat''' purrs.
    [[File:cat.jpg|thumb|A [[cat]].]]                                  ->
    {| class="wikitable"
    | a || b
    |}

It is one pass with a stack of open blocks. An unclosed block loses only its own line; later steps
recognize its rows and parameters by their first character. The result is well-formed, so a parser
takes linear time.
"""

import collections
import re
from collections.abc import Collection

from bert_tf.corpus.wikitext_templates import template_text
from bert_tf.text.markup import unescape

# Tags that are removed with their content. Inline ones do not end a paragraph.
_INLINE_TAGS = "ref|math|chem|ce|templatestyles|includeonly|indicator|section"
_DROPPED_TAGS = (
    f"{_INLINE_TAGS}|references|gallery|timeline|score|syntaxhighlight|source|pre|imagemap|graph|"
    "hiero|mapframe|maplink|inputbox|categorytree|templatedata"
)
_TOKEN = re.compile(
    r"(?im)(?P<comment><!--)"
    rf"|<(?P<raw>nowiki|{_DROPPED_TAGS})\b[^<>]*>"
    r"|<(?P<slash>/?)(?P<block>table|ul|ol|dl)\b[^<>]*>"
    r"|(?P<open>\{\{|\[\[|^[ \t:*#;]*\{\|)"
    r"|(?P<close>\}\}|\]\]|^[ \t]*\|\}(?!\}))"
)
_OPENED_BY = {"}}": "{{", "]]": "[[", "|}": "{|"}
_TAG_OF = {
    name: re.compile(rf"<(/?){name}\b[^<>]*>", re.IGNORECASE)
    for name in ("nowiki", *_DROPPED_TAGS.split("|"))
}
_UNCLOSED, _GONE = "\0", "\1"  # XML cannot contain these characters.
_REST_OF_LINE = re.compile(rf"{_UNCLOSED}[^\n]*")
# A line that has become empty; left as a blank line it would end a paragraph.
_GONE_LINE = re.compile(rf"^[ \t]*{_GONE}[ \t{_GONE}]*\n", re.MULTILINE)
# In characters or pieces of text. Nested links that span a page would take quadratic time.
_LONGEST_LINK = 5000
# The start of an external link: those protocols of MediaWiki that mwparserfromhell knows.
ADDRESS = r"(?i:(?:[a-z]{3,10}:)?//|(?:bitcoin|geo|magnet|mailto|news|sips?|sms|tel|urn|xmpp):)"
_OPEN_ADDRESS = re.compile(rf"\[{ADDRESS}[^\[\]]*\Z")
_TARGET = re.compile(r"^[^\[\]{}|\n]{0,255}\|")
_NO_TARGET = re.compile(r"[\n<>\[\]{}]")
_IN_LINK = re.compile(r"''|[&<{]|//")
_MARKUP_CHARACTER = re.compile(r"[\[\]{}<>&|'*#:;=_~!-]")

# Prefixes of links to other Wikimedia wikis, and to project pages.
_OTHER_PROJECTS = """
w wikipedia project wikt wiktionary b wikibooks n wikinews q wikiquote s wikisource v wikiversity
voy wikivoyage mw d wikidata c commons m meta species wikispecies
"""


def remove_blocks(text: str, dropped_prefixes: Collection[str]) -> str:
    """Removes comments, templates, tables, references, HTML lists, files and categories.

    A link is replaced by its text; a link that contains more markup is kept, and is well-formed.
    The content of `<nowiki>` becomes character references.
    A link to `prefix:...`, with one of `dropped_prefixes` (lower-case), is removed with its text.
    """
    return _Remover(text, dropped_prefixes).remove()


class _Remover:
    """Holds the state of a pass over a page."""

    def __init__(self, text: str, dropped_prefixes: Collection[str]) -> None:
        self.text = text
        self.dropped_prefixes = dropped_prefixes
        self.place = 0
        self.last_comment_end = text.rfind("-->")  # Searched once, not at every "<!--".
        self.kept: list[str] = []  # Also the content of blocks that are still open.
        self.opened: list[tuple[str, int]] = []  # Open blocks, and where in `kept` they start.
        # By kind: a page may have many closing marks that close nothing.
        self.num_opened: collections.Counter[str] = collections.Counter()

    def remove(self) -> str:
        while match := _TOKEN.search(self.text, self.place):
            self.kept.append(self.text[self.place : match.start()])
            self.place = match.end()
            if match["open"]:
                self._open(match["open"].strip(" \t:*#;"))
            elif match["close"]:
                self._close(match["close"].strip())
            elif match["comment"]:
                self._skip_comment()
            elif match["raw"]:
                self._skip_tag(match["raw"].lower(), match[0])
            elif not match["slash"]:
                self._open(match["block"].lower())
            else:
                self._pop(match["block"].lower())
        self.kept.append(self.text[self.place :])
        for kind, index in self.opened:
            self._leave_open(kind, index)
        return _without_gone(_REST_OF_LINE.sub("", "".join(self.kept)))

    def _open(self, kind: str) -> None:
        self.opened.append((kind, len(self.kept)))
        self.num_opened[kind] += 1
        self.kept.append("")

    def _close(self, token: str) -> None:
        kind = _OPENED_BY[token]
        if kind != "[[":
            content = self._pop(kind)
            if kind == "{{" and content is not None:
                is_inner_open = content.count("{") > content.count("}")  # {{a|{b}}}
                self.kept.append(template_text(content + self._take("}" if is_inner_open else "")))
        elif self.opened and self.opened[-1][0] == kind:  # Otherwise it closes nothing.
            index = self.opened[-1][1]
            pieces = self.kept[index : index + _LONGEST_LINK + 1]
            if len(pieces) > _LONGEST_LINK or sum(map(len, pieces)) > _LONGEST_LINK:
                self.num_opened[kind] -= 1
                self._leave_open(*self.opened.pop())
                return
            content = self._pop(kind)
            is_inner_open = _OPEN_ADDRESS.search(content)  # [[File:a.jpg|See [http://b.org c]]]
            self.kept.append(self._link(content + self._take("]" if is_inner_open else "")))

    def _take(self, text: str) -> str:
        """Returns `text` if it comes next, and skips it."""
        if not self.text.startswith(text, self.place):
            return ""
        self.place += len(text)
        return text

    def _leave_open(self, kind: str, index: int) -> None:
        """Handles a block that is never closed: drops the rest of its line, or a link's target."""
        if kind == "{|":
            self.kept[index] = "{|" + _UNCLOSED
        elif kind != "[[" or self._is_dropped(self.kept[index + 1]):
            self.kept[index] = _UNCLOSED
        else:
            self.kept[index + 1] = _TARGET.sub("", self.kept[index + 1])

    def _pop(self, kind: str) -> str | None:
        """Removes and returns the content since this kind was last opened; None if it is not."""
        if not self.num_opened[kind]:
            return None
        opened = ""
        while opened != kind:  # Blocks opened after it are never closed.
            opened, index = self.opened.pop()
            self.num_opened[opened] -= 1
        content = "".join(self.kept[index:])
        del self.kept[index:]
        return _without_gone(content)

    def _link(self, content: str) -> str:
        target, pipe, shown = content.partition("|")
        if self._is_dropped(target):
            return ""
        if _NO_TARGET.search(target) or not target.strip(" :") or "\n\n" in shown or "[[" in shown:
            return shown if pipe else target
        content = content.lstrip(" :")
        if not pipe:
            content = self._without_prefixes(content)
        if _IN_LINK.search(content):
            return f"[[{content}]]"
        return shown if pipe else content

    def _is_dropped(self, target: str) -> bool:
        prefix, colon, _ = target.partition(":")
        return bool(colon) and _normalized(prefix) in self.dropped_prefixes

    def _without_prefixes(self, target: str) -> str:
        """wikt:cat -> cat; w:de:Katze -> Katze."""
        for _ in range(2):
            prefix, _, rest = target.partition(":")
            if rest.strip(" :") and (
                self._is_dropped(target) or _normalized(prefix) in _OTHER_PROJECTS.split()
            ):
                target = rest.lstrip(" :")
        return target

    def _skip_comment(self) -> None:
        end = self.text.find("-->", self.place, self.last_comment_end + 3)
        if end >= 0:
            self.place = end + 3
            self.kept.append(_GONE)
        else:
            self.place = self._end_of_line()

    def _skip_tag(self, name: str, tag: str) -> None:
        what_stays = _GONE if name in _INLINE_TAGS.split("|") else ""
        if tag.endswith("/>"):
            self.kept.append(what_stays)
            return
        start = self.place
        for match in _TAG_OF[name].finditer(self.text, start):
            if match[1]:
                self.place = match.end()
                if name == "nowiki":
                    what_stays = as_references(self.text[start : match.start()])
                self.kept.append(what_stays)
                return
            if not match[0].endswith("/>"):
                break  # The tag is opened again, so it was never closed.
        if name != "nowiki":
            self.place = self._end_of_line()

    def _end_of_line(self) -> int:
        end = self.text.find("\n", self.place)
        return end if end >= 0 else len(self.text)


def _normalized(prefix: str) -> str:
    return prefix.strip().replace("_", " ").lower()


def _without_gone(text: str) -> str:
    return _GONE_LINE.sub("", text).replace(_GONE, "") if _GONE in text else text


def as_references(text: str) -> str:
    """Escapes exactly those characters that have a meaning in wikitext, as in `&#91;`."""
    return _MARKUP_CHARACTER.sub(lambda match: f"&#{ord(match[0])};", unescape(text))
