"""Templates whose text is part of a sentence, as their documentation says that they look."""

import pytest

from bert_tf.corpus.wikitext_templates import template_text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        *(("nowrap|a b", "a b"), ("nowrap|1=E = mc²", "E = mc²"), ("NoWrap | a ", "a")),
        *(("lang|fr|bonjour", "bonjour"), ("lang|fr|2=bonjour|italic=no", "bonjour")),
        *(
            ("lang|1=fr|2=a=b", "a=b"),
            ("transl|ar|DIN|kitāb", "kitāb"),
            ("transl|ar|kitāb", "kitāb"),
        ),
        *(("ill|John Smith|de", "John Smith"), ("ill|John Smith|de|lt=Smith", "Smith")),
        *(("ill|de|John Smith", "John Smith"), ("Interlanguage_link|1=J. S.|2=de", "J. S.")),
        *(("仮リンク|猫|en|cat", "猫"), ("仮リンク|猫 (動物)|en|cat|label=猫", "猫")),
        *(("link-en|猫|Cat", "猫"), ("link-en|猫 (动物)|Cat|猫", "猫"), ("le|猫|Cat|d=貓", "貓")),
        *(("tsl|en|Cat|猫", "猫"), ("tsl|en|Cat|猫 (动物)|貓", "貓")),
        *(("lien|Chat|langue=en|trad=Cat", "Chat"), ("Lien|langue=en|trad=Cat", "Cat")),
        *(("lien|langue=en|fr=Chat|trad=Cat", "Chat"), ("lien|Chat (animal)|texte=chat", "chat")),
        *(("nihongo|'''Tokyo'''|東京|Tōkyō", "'''Tokyo'''"), ("nihongo||東京|Tōkyō", "Tōkyō")),
        *(("ruby|漢字|かんじ", "漢字"), ("読み仮名|漢字|かんじ", "漢字")),
        *(
            ("convert|5|km|mi", "5 km"),
            ("convert|3|to|4|m|abbr=on", "3 to 4 m"),
            ("cvt|5|km", "5 km"),
        ),
        *(("unité|5|kg", "5 kg"), ("unité|-5,2|°C", "-5,2 °C"), ("nb|1000", "1000"), ("nb|a", "")),
        *(("val|5.2|u=m", "5.2 m"), ("val|5.2|0.1|ul=m", "5.2 m"), ("formatnum:1234", "1234")),
        *(("circa|1900", "circa 1900"), ("circa|1900|1910", "circa 1900 – 1910")),
        *(("as of|2010|5", "As of 2010"), ("as of|2010|lc=y", "as of 2010")),
        *(
            ("date|14|juillet|1789", "14 juillet 1789"),
            ("date||juillet|1789|en art", "juillet 1789"),
        ),
        *(("date|14 juillet 1789", "14 juillet 1789"), ("date|2001-01-05", "2001-01-05")),
        *(
            ("s|XIX", "XIXe siècle"),
            ("s|XIX|e", "XIXe siècle"),
            ("s-|I", "Ier siècle"),
            ("s|x", ""),
        ),
        *(("snd", " – "), ("lang|fr|[[a|très]] bien", "[[a|très]] bien")),
    ],
)
def test_the_text_is_what_a_reader_sees(content, text):
    assert template_text(content) == text


@pytest.mark.parametrize(
    "content",
    [
        *(
            "",
            "|",
            "nowrap",
            "lang|fr",
            "convert",
            "convert|",
            "circa",
            "date",
            "s",
            "unité",
            "val",
        ),
        *("as of", "ill", "lien", "nihongo", "link-en", "{1|x", "cite book|title=A", "link-xyz|a"),
        *("Infobox|a|b", "nowrap|" + "a" * 1000, "formatnum:", "convert|||", "1", "lien|="),
    ],
)
def test_other_templates_and_empty_ones_say_nothing(content):
    assert template_text(content) == ""
