"""Sentences of many languages, split by hand."""

import pytest

from bert_tf.corpus.sentences import is_heading, split_sentences

pytest.importorskip("sentencex", reason="needs: pip install mwparserfromhell sentencex")


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Dr. Smith went to Washington.", "He arrived at 5 p.m. on Jan. 5.", "It rained."]),
        ("en", ["The U.S. Army won.", "It cost $3.50 (see fig. 3).", '"Why?" she asked.']),
        ("de", ["Im 19. Jahrhundert kam Dr. Müller.", "Am 3. Oktober ging er.", "Warum?"]),
        ("fr", ["M. Dupont est né le 1er janv. 1900.", "Il partit !", "Où ?"]),
        ("fr", ["En 52 av. J.-C., César vint.", "Puis – en 20 av. J.-C. – Auguste."]),
        (
            "fr",
            ["Rome vainquit en 52 av. J.-C.", "Elle dura.", "Vers 30 apr. J.-C. (ou 33) il vint."],
        ),
        ("fr", ["J.-J. Rousseau et J.-B. Poquelin écrivent.", "J.-B.-A. Dumas aussi."]),
        ("it", ["Lo scrisse J.-J. Rousseau.", "Poi morì."]),
        ("es", ["¿Qué es?", "El Sr. García vino.", "¡Sí!"]),
        ("ru", ["А. С. Пушкин родился в 1799 г. в Москве.", "Он жил там, т. е. в России."]),
        ("el", ["Τι είναι αυτό;", "Αυτό είναι."]),
        ("hi", ["यह एक वाक्य है।", "क्या यह सही है?"]),
        ("ar", ["هل هذا صحيح؟", "نعم، هذا صحيح."]),
        ("ur", ["یہ ایک جملہ ہے۔", "دوسرا جملہ۔"]),
        ("hy", ["Սա նախադասություն է։", "Սա երկրորդն է։"]),
        ("am", ["ይህ ዓረፍተ ነገር ነው።", "ይህ ሁለተኛ ነው።"]),
        ("ko", ["이것은 문장이다.", "다음 문장이다."]),
        ("sw", ["Hii ni sentensi.", "Hii ni nyingine."]),
        ("he", ["זה משפט.", "האם זה נכון?"]),
        ("ka", ["საქართველო არის ქვეყანა.", "დედაქალაქია თბილისი.", "ის დიდია."]),  # No capitals.
        ("hi", ["वजन ४.५ किलोग्राम है।", "डॉ. शर्मा आए।"]),
        ("ar", ["الوزن ٤.٥ كيلو.", "هذا كتاب."]),
        ("ru", ["«Стой!» — крикнул он.", "Он ушёл."]),
        ("es", ["—¿Quién es? —preguntó.", "No sé."]),
        ("pl", ["„Stój!” – krzyknął.", "Potem poszedł."]),
        ("en", ["He is 5.", "6 are left."]),
    ],
)
def test_sentences_are_parted_where_people_would(language, sentences):
    assert split_sentences(" ".join(sentences), language) == sentences


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("zh", ["他说：“你好。”", "然后走了。", "天黑了！", "真的吗？"]),
        ("zh", ["《红楼梦》是小说。", "它（又名《石头记》）很长……", "完"]),
        ("zh-yue", ["佢話：「係。」", "跟住走咗。"]),
        ("ja", ["「はい。そうです。」と彼は言った。", "次の文です！", "本当？"]),
        ("ja", ["『坊っちゃん』を読む。", "「はい。」", "そうですか。"]),
        ("ja", ["「閉じない。", "次の文。"]),
    ],
)
def test_chinese_and_japanese_are_parted_without_spaces(language, sentences):
    assert split_sentences("".join(sentences), language) == sentences


def test_nothing_but_space_is_lost():
    text = 'One. "Two!" (Three?) 4.5 etc. and… so. M. X. 完。あ！' * 20
    for language in ("en", "de", "fr", "ja", "zh", "th", "und"):
        joined = "".join("".join(split_sentences(text, language)).split())
        assert joined == "".join(text.split())


@pytest.mark.parametrize("text", ["History", "See also", "歴史", "List of kings of France (987)"])
def test_a_short_line_that_does_not_end_is_a_heading(text):
    assert is_heading(text)


@pytest.mark.parametrize(
    "text",
    ["It rained.", "Why?", "他走了。", '"Go!"', "यह है।", "As follows:", "ok " * 40, "(Yes.)"],
)
def test_other_lines_are_text(text):
    assert not is_heading(text)


@pytest.mark.parametrize(
    "mark",
    [
        *("\u0589", "\u061f", "\u06d4", "\u0702", "\u07f9", "।", "𑑋", "᱾", "᱿", "꯫", "။", "។", "།"),
        *("᠃", "᠉", "᭟", "᭞", "᭛", "꧉", "꧈", "።", "፧", "᙮", "…", ":", ";", "｡", "⁉"),
    ],
)
def test_a_short_line_with_the_final_mark_of_its_script_is_text(mark):
    assert not is_heading(f"ab cd{mark}")
    assert not is_heading(f"ab cd{mark}»")


def test_the_library_gets_a_long_paragraph_in_parts_that_begin_with_a_sentence(monkeypatch):
    import sentencex

    segment, lengths = sentencex.segment, []

    def count(language, text):
        lengths.append(len(text))
        return segment(language, text)

    monkeypatch.setattr(sentencex, "segment", count)
    sentences = [f"This is sentence number {n} of the paragraph." for n in range(2000)]
    assert split_sentences(" ".join(sentences), "en") == sentences
    assert max(lengths) <= 20_000
    assert sum(lengths) < 1.1 * sum(map(len, sentences)) + 2000
    assert split_sentences("“" * 50_000, "en")[0] == "“" * 20_000  # Its time is quadratic.
