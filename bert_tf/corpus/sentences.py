"""Splits paragraphs into sentences.

Wikimedia's sentencex splits most languages: it knows their abbreviations and punctuation, or falls
back on a related language. Chinese and Japanese, which have no spaces between words and put speech
in brackets, have their own rules here:

    他说：“你好。”然后走了。天黑了！      ->   他说：“你好。”  然后走了。  天黑了！
    「はい。そうです。」と彼は言った。      ->   「はい。そうです。」と彼は言った。
"""

import re
from collections.abc import Iterable, Iterator

_CHINESE = ("zh", "yue", "wuu", "gan", "hak", "lzh", "cdo", "zh-yue", "zh-classical")
WITHOUT_SPACES = frozenset((*_CHINESE, "ja"))

# Languages in which a number with a full stop is an ordinal: im 19. Jahrhundert.
_WITH_ORDINALS = """
de als gsw bar nds lb da nb nn no fo is fi et lv cs sk sl hr bs sh sr hu hsb dsb eu tr
"""
_ORDINAL_LANGUAGES = frozenset(_WITH_ORDINALS.split())
_ORDINAL = re.compile(r"(?:^|[\s(–-])\d{1,2}\.$")
# J.-J. Rousseau: French initials. J.-C. may end a sentence, because no surname follows it.
_INITIALS = re.compile(r"(?<!\w)[^\W\d_]\.-[^\W\d_]\.$")
_CHRIST, _AFTER_CHRIST = "J.-C.", frozenset(",;:)(–—")
_LONGEST_LOOK_BACK = 40  # characters
# Abbreviations that the library does not know, or mistakes for the end of a sentence.
_ABBREVIATIONS = {
    "ar": ("د.",),
    "de": ("Hl.", "hl."),
    "en": ("vol.", "Vol.", "vols.", "Vols."),
    "fr": ("M.", "MM.", "Mme.", "Mlle.", "janv.", "févr.", "av.", "p."),
    "hi": ("डॉ.", "श्री.", "पं."),
    "pt": ("séc.", "Séc.", "sécs."),
    "sv": ("kl.", "Kl."),
    "tr": ("M.Ö.", "M.S."),
    "vi": ("TP.", "Tp.", "tp."),
}
# «Стой!» — крикнул он.
_DASH = re.compile(r"[—–―-]\s*")

_ENDS = "。！？!?．…"
_CLOSING = "」』”’）)》】〉〕］\"'"
_BRACKETS = {"「": "」", "『": "』", "“": "”", "（": "）", "《": "》", "【": "】", "〈": "〉"}
_LONGEST_SPEECH = 200  # characters; longer speech is split inside.
# No sentence begins with these: 「はい。」と言った。
_GOES_ON = frozenset("，、。！？；：…とってはがをにのでもやなか")
_STOP = re.compile(rf"[{re.escape(''.join(_BRACKETS) + _ENDS)}]")
_AFTER_END = re.compile(rf"[{re.escape(_ENDS)}]*[{re.escape(_CLOSING)}]*")

# Marks that end a sentence: Unicode's Sentence_Terminal in the scripts of the Wikipedias, and other
# marks in that role (… : ; as in Greek, Tibetan's).
_FINAL_MARKS = (
    "!.?…:;·¡¿‽‼⁇⁈⁉⸮。！？．｡\u0589"  # The last one is Armenian.
    "\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u07f9"  # Arabic, Syriac, N'Ko
    "।॥𑑋𑑌᱾᱿꯫꫰꫱၊။។៕་།༎᠃᠉"  # Indic, Newa, Ol Chiki, Meitei, Myanmar, Khmer, Tibetan, Mongolian
    "᭚᭛᭞᭟᭽᭾᭿꧈꧉᜵᜶።፧፨᙮꓿"  # Balinese, Javanese, Philippine, Ethiopic, Canadian syllabics, Lisu
)
_FINAL = re.compile(rf"[{re.escape(_FINAL_MARKS)}]['\"”’»›)\]」』）》】*]*\s*$")
_LONGEST_HEADING = 80
_LONGEST_PART = 20_000  # characters; real paragraphs are shorter


def split_sentences(paragraph: str, language: str) -> list[str]:
    """Returns the sentences of a paragraph, in order and without spaces around them."""
    if language in WITHOUT_SPACES:
        sentences = _split_without_spaces(paragraph, language)
    else:
        sentences = _mend(_segments(paragraph, language), language)
    return [sentence for sentence in map(str.strip, sentences) if sentence]


def _segments(paragraph: str, language: str) -> Iterator[str]:
    """Yields the library's sentences; its time grows with the square of what it is given."""
    import sentencex

    start = 0
    while start < len(paragraph):
        part = paragraph[start : start + _LONGEST_PART]
        sentences = list(sentencex.segment(language, part))
        if start + len(part) < len(paragraph):  # The last sentence may go on.
            sentences = sentences[:-1] or [part]
        yield from sentences
        start += sum(map(len, sentences))


def is_heading(paragraph: str) -> bool:
    """Returns whether a paragraph is short and does not end like a sentence."""
    return len(paragraph) <= _LONGEST_HEADING and not _FINAL.search(paragraph)


def is_small(character: str) -> bool:
    """Returns whether a character is a lower-case letter that a sentence would capitalize."""
    # Georgian letters are lower-case in Unicode's tables, but sentences begin with them.
    return character.islower() and character != character.title()


def _mend(sentences: Iterable[str], language: str) -> list[str]:
    """Joins sentences that were split by mistake."""
    mended: list[list[str]] = []
    before = ""
    for sentence in sentences:
        if mended and _belongs_to(sentence, before, language):
            mended[-1].append(sentence)
            before = (before + sentence)[-_LONGEST_LOOK_BACK:]
        else:
            mended.append([sentence])
            before = sentence[-_LONGEST_LOOK_BACK:]
    return ["".join(pieces) for pieces in mended]


def _belongs_to(sentence: str, before: str, language: str) -> bool:
    dash = _DASH.match(sentence)
    if dash and is_small(sentence[dash.end() : dash.end() + 1]):
        return True
    if before[-2:-1].isdecimal() and before.endswith(".") and sentence[:1].isdecimal():
        return True  # 4.5 in other than ASCII digits.
    before = before.rstrip()
    if not before.endswith("."):
        return False
    if is_small(sentence[:1]) and not before.endswith(".."):
        return True
    if before[-2:-1].isalpha() and not before[-3:-2].isalnum():  # An initial.
        if before.endswith(_CHRIST):
            return sentence[:1] in _AFTER_CHRIST
        if (sentence[:1] == "-" and sentence[1:2].isalpha()) or _INITIALS.search(before):
            return True
    if language in _ORDINAL_LANGUAGES and _ORDINAL.search(before):
        return True
    return before.rpartition(" ")[2].lstrip("(«“") in _ABBREVIATIONS.get(language, ())


def _split_without_spaces(paragraph: str, language: str) -> list[str]:
    sentences, start, place = [], 0, 0
    while match := _STOP.search(paragraph, place):
        place = match.end()
        if match[0] in _BRACKETS:
            closing = paragraph.find(_BRACKETS[match[0]], place, place + _LONGEST_SPEECH)
            if closing < 0:
                continue
            place = closing + 1
            if paragraph[closing - 1] not in _ENDS:  # A title or a remark, not speech.
                continue
        place = _AFTER_END.match(paragraph, place).end()
        if place < len(paragraph) and paragraph[place] not in _GOES_ON:
            sentences.append(paragraph[start:place])
            start = place
    return [*sentences, paragraph[start:]]
