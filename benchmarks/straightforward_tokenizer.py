"""BERT's tokenization written the obvious way: a loop over the characters for every rule.

It shares no code with bert_tf, and takes the passes that the original takes: the measure of
rightness in the tests, and of the speed of `benchmarks/squad_features.py`.
"""

import unicodedata


def tokenize(text: str, vocab: dict[str, int], do_lower_case: bool) -> list[str]:
    """The word pieces of `text`."""
    pieces = []
    for word in split_into_words(text, do_lower_case, do_lower_case):
        pieces.extend(split_into_pieces(word, vocab))
    return pieces


def split_into_words(text: str, do_lower_case: bool, strip_accents: bool) -> list[str]:
    """The words and punctuation marks of `text`."""
    words = []
    for word in space_ideographs(drop_control_characters(text)).split():
        if do_lower_case:
            word = word.lower()
        if strip_accents:
            word = drop_accents(word)
        words.extend(split_at_punctuation(word))
    return " ".join(words).split()


def drop_control_characters(text: str) -> str:
    kept = []
    for char in text:
        category = unicodedata.category(char)
        if char == "\t" or char == "\n" or char == "\r" or category == "Zs":
            kept.append(" ")
        elif category != "Cc" and category != "Cf" and ord(char) != 0xFFFD:
            kept.append(char)
    return "".join(kept)


def space_ideographs(text: str) -> str:
    spaced = []
    for char in text:
        if is_ideograph(ord(char)):
            spaced.extend((" ", char, " "))
        else:
            spaced.append(char)
    return "".join(spaced)


def is_ideograph(number: int) -> bool:
    return (
        0x4E00 <= number <= 0x9FFF
        or 0x3400 <= number <= 0x4DBF
        or 0x20000 <= number <= 0x2A6DF
        or 0x2A700 <= number <= 0x2B73F
        or 0x2B740 <= number <= 0x2B81F
        or 0x2B820 <= number <= 0x2CEAF
        or 0xF900 <= number <= 0xFAFF
        or 0x2F800 <= number <= 0x2FA1F
    )


def drop_accents(word: str) -> str:
    kept = []
    for char in unicodedata.normalize("NFD", word):
        if unicodedata.category(char) != "Mn":
            kept.append(char)
    return "".join(kept)


def is_punctuation(char: str) -> bool:
    number = ord(char)
    if 33 <= number <= 126:
        return not ("0" <= char <= "9" or "A" <= char <= "Z" or "a" <= char <= "z")
    return unicodedata.category(char)[0] == "P"


def split_at_punctuation(word: str) -> list[str]:
    parts = []
    open_part = ""
    for char in word:
        if is_punctuation(char):
            if open_part:
                parts.append(open_part)
            parts.append(char)
            open_part = ""
        else:
            open_part += char
    return [*parts, open_part] if open_part else parts


def split_into_pieces(word: str, vocab: dict[str, int]) -> list[str]:
    if len(word) > 200:
        return ["[UNK]"]
    pieces = []
    rest = word
    while rest:
        mark = "##" if pieces else ""
        for length in range(len(rest), 0, -1):
            if mark + rest[:length] in vocab:
                break
        else:
            return ["[UNK]"]
        pieces.append(mark + rest[:length])
        rest = rest[length:]
    return pieces
