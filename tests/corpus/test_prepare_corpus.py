"""prepare_corpus.py as a user runs it: from every source to exact lines; killed; refused."""

import bz2
import contextlib
import gzip
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bert_tf.corpus import parts, shards
from bert_tf.corpus.preparation import prepare_corpus
from bert_tf.settings import CorpusSettings

pytest.importorskip("mwparserfromhell", reason="needs: pip install mwparserfromhell sentencex")
pytest.importorskip("sentencex", reason="needs: pip install mwparserfromhell sentencex")


def prepare(folder, input_file, **settings):
    settings = {"min_characters": 1, **settings}
    if isinstance(input_file, str):
        input_file = (input_file,)
    return prepare_corpus(CorpusSettings(tuple(map(str, input_file)), str(folder), **settings))


def read_files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


ARTICLE = """{{Short description|A town}}
{{Infobox settlement
| name = Łódź
| image = [[File:Lodz.jpg|thumb|The [[city]] at night.]]
| area = {{convert|293|km2|abbr=on}}
{| class="wikitable"
| a || b
|}
}}
<!-- Do not change. -->
'''Łódź'''<ref name="a">{{cite web|url=http://a.pl|title=See {{lang|pl|tu}}.}}</ref> ({{IPA|x}}) \
is a [[city]] in [[Poland|central Poland]].<ref name="a" /> Its area is {{convert|293|km2}}&nbsp;\
&ndash; ''large''. <math>a < b</math>

[[Image:Map.png|thumb|A map with [[link]].]]
== History ==
In 1332 it was a village. Dr. [[Jan Kowalski|Kowalski]] of the U.S. came <nowiki>[[here]]</nowiki> \
in Jan. 1820.<ref>unclosed
* A list item. With two sentences.
# Another.
: Indented.
; Term
{| class="wikitable"
! Year
|-
| 1900 || {{formatnum:1000}}
|}

It grew quickly <b>indeed. "Did it?" he asked. <div>Yes!</div>

== See also ==
* [[Warsaw]]
[[Category:Cities]]
[[de:Łódź]]
"""


EXTRACTED = """<doc id="12" url="https://a.org?curid=12" title="A &quot;King&quot; > 1">
King

The king &amp; the queen left. They took <b>all</b>,<br>they say.
They came back.
</doc>
<doc id="13" url="https://a.org?curid=13" title="Dog">
Dog

A dog barked. It was late.
</doc>
"""
PAGE = """<!-- saved --><!DOCTYPE html>
<HTML><head><title>No. Title.</title><script>if (a < b) { x(); }</script>
<style>p > b {}</style></head>
<body class="a > b"><h1>No. Heading.</h1><nav>Home. Away.</nav>
<p>The king
was <em>good</em>. He lived &#8211; here.<p>They <a href='x>y'>ran</a>.
<ul><li>One is here. Two is there.</ul> 3 < 4 is true. It is.
Old pages<br>break lines.<br/> <br>Then they end.</body></html>
<html><body>Another page is here. It ends.
"""
EXTRACTED_TEXT = [
    *("The king & the queen left.", "They took all, they say.", "They came back.", ""),
    *("A dog barked.", "It was late.", "", ""),
]
PAGE_TEXT = [
    *("The king was good.", "He lived – here.", "They ran.", "One is here.", "Two is there."),
    *("3 < 4 is true.", "It is.", "Old pages break lines.", "Then they end.", ""),
    *("Another page is here.", "It ends.", "", ""),
]
ROWS_TEXT = ["It was late.", "The cat slept.", "", ""]


@pytest.mark.parametrize("name", ["wiki_00", "a.txt"])
@pytest.mark.parametrize("source", ["auto", "books"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EXTRACTED, EXTRACTED_TEXT),
        (PAGE, PAGE_TEXT),
        ('{"text": "It was late. The cat slept."}\n', ROWS_TEXT),
    ],
)
def test_markup_is_read_as_what_it_is(tmp_path, corpus_lines, name, source, text, expected):
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    report = prepare(tmp_path / "out", str(tmp_path / name), source=source)
    assert corpus_lines(tmp_path / "out") == expected
    assert report.problems() == []


def test_text_that_is_full_of_markup_is_warned_of_with_an_example(tmp_path):
    rows = [{"text": "It was late.\nThe <b>cat</b> slept.\nSo did we."}] * 2
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for _ in range(2):  # Again, from the manifest.
        report = prepare(tmp_path / "out", str(tmp_path / "a.jsonl"), drop_duplicates=False)
        (problem,) = report.problems()
        assert "2 of 6 sentences and headings hold tags" in problem
        assert "'The <b>cat</b> slept.'" in problem


def test_markup_that_makes_paragraphs_look_like_headings_is_warned_of(tmp_path):
    text = "It was late. So it was.\n<p>The cat slept.</p>\n<p>The dog did not.</p>\n"
    (tmp_path / "a.txt").write_text(text)
    (problem,) = prepare(tmp_path / "out", str(tmp_path / "a.txt")).problems()
    assert "2 of 4 sentences and headings hold tags" in problem
    assert "'<p>The cat slept.</p>'" in problem


@pytest.fixture
def small_dump(tmp_path, make_page, make_dump):
    pages = [
        make_page("Łódź", ARTICLE),
        make_page("Lodz", "#REDIRECT [[Łódź]]", redirect="Łódź"),
        make_page("Talk:Łódź", "A talk page. It is long enough.", namespace=1),
        make_page("Template:X", "A template. It is long enough.", namespace=10),
        make_page("Lodz (disambiguation)", "'''Lodz''' may be:\n* a\n{{disambiguation}}"),
        make_page("Module", "return 1", model="Scribunto"),
        make_page("Stub", "One sentence only."),
        make_page("Empty", "{{Infobox|a}}\n* [[b]]"),
        make_page("Москва", "'''Москва''' — столица. Она стоит на реке, т. е. на Москве."),
        make_page("猫", "猫是动物。 猫吃鱼。"),
        make_page("Copy", "'''Москва''' — [[столица]]. Она стоит на реке, т. е. на Москве."),
        make_page("Long", "\n\n".join(["A [[sentence]] of some words. And more."] * 5000)),
    ]
    path = tmp_path / "testwiki-pages-articles.xml.bz2"
    path.write_bytes(bz2.compress(make_dump(pages).encode()))
    return path


def test_a_dump_becomes_sentences_with_articles_apart(tmp_path, small_dump, corpus_lines):
    report = prepare(tmp_path / "out", str(small_dump))
    lines = corpus_lines(tmp_path / "out")
    assert lines[:16] == [
        "Łódź is a city in central Poland.",
        "Its area is 293 km2 – large.",
        "In 1332 it was a village.",
        "Dr. Kowalski of the U.S. came [[here]] in Jan. 1820.",
        "It grew quickly indeed.",
        '"Did it?" he asked.',
        "Yes!",
        "",
        "Москва — столица.",
        "Она стоит на реке, т. е. на Москве.",
        "",
        "猫是动物。",
        "猫吃鱼。",
        "",
        "A sentence of some words.",
        "And more.",
    ]
    assert lines[14:] == ["A sentence of some words.", "And more."] * 5000 + ["", ""]
    counts = report.languages["en"]
    assert {name: counts[name] for name in counts if name.startswith("dropped: ")} == {
        "dropped: disambiguation pages": 1,
        "dropped: duplicates": 1,
        "dropped: no wikitext": 1,
        "dropped: other namespaces": 2,
        "dropped: redirects": 1,
        "dropped: too short": 1,
        "dropped: without text": 1,
    }
    assert counts["seen"] == 12
    assert report.total("documents") == counts["documents"] == 4
    assert report.total("sentences") == sum(bool(line) for line in lines)
    assert report.total("characters") == sum(map(len, lines))
    assert report.total("words") == sum(len(line.split()) for line in lines)
    assert "1 dropped: redirects" in "\n".join(report.lines())


@pytest.mark.parametrize("is_multistream", [False, True])
def test_the_files_do_not_depend_on_the_number_of_workers(
    tmp_path, articles, make_dump, make_multistream, is_multistream
):
    pages = [*articles(300), *articles(50)]
    dump = tmp_path / "dump.xml.bz2"
    dump.write_bytes(
        make_multistream(pages, 10) if is_multistream else bz2.compress(make_dump(pages).encode())
    )
    settings = {
        "num_shards": 4,
        "held_out_share": 0.1,
        "truncate_probability": 0.05,
        "part_megabytes": 0.01,
        "gzip": is_multistream,
    }
    reports = [
        prepare(tmp_path / f"by-{workers}", str(dump), num_workers=workers, **settings)
        for workers in (1, 3)
    ]
    one, three = (read_files(tmp_path / f"by-{workers}") for workers in (1, 3))
    assert one == three
    assert len(one) == 5
    assert reports[0].languages == reports[1].languages
    assert reports[0].languages["en"]["dropped: duplicates"] == 50
    assert reports[0].total("documents") + reports[0].held_out["documents"] == 300
    sizes = [shard["bytes"] for shard in reports[0].shards]
    if not is_multistream:
        assert max(sizes) - min(sizes) < 1000


def test_what_is_written_is_what_the_next_script_reads(tmp_path, articles, make_dump, scripts_dir):
    (tmp_path / "dump.xml").write_text(make_dump(articles(40)), encoding="utf-8")
    prepare(tmp_path / "text", str(tmp_path / "dump.xml"), num_shards=2, gzip=True)
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] town it was the in of a founded year built"
    (tmp_path / "vocab.txt").write_text(words.replace(" ", "\n") + "\n")
    run = subprocess.run(
        [
            *(sys.executable, scripts_dir / "create_pretraining_data.py"),
            *(f"--input_file={tmp_path}/text/corpus-*.txt.gz", f"--output_dir={tmp_path}/records"),
            f"--vocab_file={tmp_path}/vocab.txt",
        ],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "documents    40\nsentences    160, 4.0 a document" in run.stdout
    assert "blank line" not in run.stderr


@pytest.fixture
def long_dump(tmp_path, articles, make_dump):
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(bz2.compress(make_dump(articles(4000)).encode()))
    return path


def test_killed_at_any_moment_it_goes_on_to_the_same_files(tmp_path, long_dump, scripts_dir):
    settings = {"num_shards": 3, "part_megabytes": 0.1, "truncate_probability": 0.1}
    prepare(tmp_path / "whole", str(long_dump), min_sentences=3, **settings)
    command = [
        *(sys.executable, str(scripts_dir / "prepare_corpus.py"), f"--input_file={long_dump}"),
        *(f"--output_dir={tmp_path}/killed", "--min_characters=1", "--min_sentences=3"),
        *(f"--{name}={value}" for name, value in settings.items()),
        "--num_workers=2",
    ]
    parts = tmp_path / "killed" / ".parts"
    made = set()
    for _ in range(2):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
        deadline = time.monotonic() + 60
        while len(now := set(parts.glob("part-*.json"))) < len(made) + 2:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        made = now
        assert not list((tmp_path / "killed").glob("corpus*"))
    assert len(made) >= 4
    run = subprocess.run([*command, "--num_workers=1"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert read_files(tmp_path / "killed") == read_files(tmp_path / "whole")
    assert not list((tmp_path / "killed").glob(".*"))  # No parts, nothing half-written.


def test_the_parts_and_files_that_are_whole_are_not_made_again(
    tmp_path, monkeypatch, articles, make_dump
):
    (tmp_path / "dump.xml").write_text(make_dump(articles(60)), encoding="utf-8")
    settings = {"num_shards": 3, "part_megabytes": 0.01}
    made = []
    write_part, copy_documents = parts._write_part, shards._copy_documents

    def copy_one(folder, shard, output):
        if len(made) == 1:
            raise OSError(28, "No space left on device", shard.path)
        made.append(shard.path)
        copy_documents(folder, shard, output)

    monkeypatch.setattr(shards, "_copy_documents", copy_one)
    with pytest.raises(OSError, match="No space left"):
        prepare(tmp_path / "out", str(tmp_path / "dump.xml"), **settings)

    def copy(folder, shard, output):
        made.append(shard.path)
        copy_documents(folder, shard, output)

    def no_part(*_):
        raise AssertionError("This part was there.")

    monkeypatch.setattr(parts, "_write_part", no_part)
    monkeypatch.setattr(shards, "_copy_documents", copy)
    prepare(tmp_path / "out", str(tmp_path / "dump.xml"), **settings)
    assert len(made) == len(set(made)) == 3
    monkeypatch.setattr(parts, "_write_part", write_part)
    prepare(tmp_path / "again", str(tmp_path / "dump.xml"), **settings)
    assert read_files(tmp_path / "out") == read_files(tmp_path / "again")


def test_a_finished_corpus_is_left_alone_and_reported_again(tmp_path, articles, make_dump):
    (tmp_path / "dump.xml").write_text(make_dump(articles(20)), encoding="utf-8")
    first = prepare(tmp_path / "out", str(tmp_path / "dump.xml"))
    path = tmp_path / "out" / "corpus-00000-of-00001.txt"
    before = path.stat().st_mtime_ns
    second = prepare(tmp_path / "out", str(tmp_path / "dump.xml"), num_workers=2)
    assert second.was_there
    assert path.stat().st_mtime_ns == before
    assert second.lines()[:-2] == first.lines()[:-2]
    path.unlink()
    third = prepare(tmp_path / "out", str(tmp_path / "dump.xml"))
    assert not third.was_there
    assert path.exists()


def test_other_settings_or_inputs_are_refused_in_the_same_folder(tmp_path, articles, make_dump):
    dump = tmp_path / "dump.xml"
    dump.write_text(make_dump(articles(20)), encoding="utf-8")
    prepare(tmp_path / "out", str(dump))
    with pytest.raises(ValueError, match=r"made differently: min_sentences was 2, now 3"):
        prepare(tmp_path / "out", str(dump), min_sentences=3)
    dump.write_text(make_dump(articles(21)), encoding="utf-8")
    with pytest.raises(ValueError, match=r"other input files, or the files have changed"):
        prepare(tmp_path / "out", str(dump))


def test_an_input_of_the_same_size_that_has_changed_is_refused_in_the_same_folder(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("A cat. It sleeps.\n")
    prepare(tmp_path / "out", str(path))
    path.write_text("A dog. It sleeps.\n")
    os.utime(path, ns=(0, 1))
    with pytest.raises(ValueError, match=r"other input files, or the files have changed"):
        prepare(tmp_path / "out", str(path))


def test_parts_of_another_version_of_a_library_are_not_mixed_in(
    tmp_path, monkeypatch, articles, make_dump
):
    (tmp_path / "dump.xml").write_text(make_dump(articles(20)), encoding="utf-8")
    with pytest.raises(ValueError, match="documents are left"):
        prepare(tmp_path / "out", str(tmp_path / "dump.xml"), num_shards=100)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    with pytest.raises(ValueError, match=r"made differently: with .*sentencex.*'99.0'"):
        prepare(tmp_path / "out", str(tmp_path / "dump.xml"), num_shards=100)


def test_a_library_that_is_missing_is_named_with_the_extra(
    tmp_path, monkeypatch, articles, make_dump
):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    (tmp_path / "dump.xml").write_text(make_dump(articles(20)), encoding="utf-8")
    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ValueError, match=r"sentencex is needed, .*pip install mwparser"):
        prepare(tmp_path / "out", str(tmp_path / "dump.xml"))


def test_books_are_a_document_each_with_wrapped_lines_joined(tmp_path, corpus_lines):
    (tmp_path / "a.txt").write_text(
        "Licence.\n*** START OF THE PROJECT GUTENBERG EBOOK A ***\n\nCHAPTER I\n\n"
        "It was a dark night, and Mr.\nSmith slept. He\ndreamt.\n\n“Wake up!” she said.\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK A ***\nMore licence.\n"
    )
    with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
        file.write("A line is a paragraph. Here it is.\r\nSo is this.\r\n")
    prepare(tmp_path / "out", (f"{tmp_path}/*.txt", f"{tmp_path}/*.gz"))
    assert corpus_lines(tmp_path / "out") == [
        *("It was a dark night, and Mr. Smith slept.", "He dreamt.", "“Wake up!” she said.", ""),
        *("A line is a paragraph.", "Here it is.", "So is this.", "", ""),
    ]


def test_a_long_file_is_read_in_parts_that_end_with_a_paragraph(tmp_path, corpus_lines):
    text = "\n\n".join(f"Paragraph {n} is here. It\ngoes on." for n in range(300))
    (tmp_path / "long.txt").write_text(text)
    report = prepare(tmp_path / "out", str(tmp_path / "long.txt"), part_megabytes=0.002)
    lines = [line for line in corpus_lines(tmp_path / "out") if line]
    assert lines == [s for n in range(300) for s in (f"Paragraph {n} is here.", "It goes on.")]
    assert report.total("documents") == 6


def test_no_part_of_a_long_book_has_project_gutenbergs_licence(tmp_path, corpus_lines):
    licence = "\n\n".join(f"Licence {n} is here. It goes on." for n in range(200))
    book = "\n\n".join(f"Paragraph {n} is here. It goes on." for n in range(150))
    start, end = (f"*** {w} OF THE PROJECT GUTENBERG EBOOK ***" for w in ("START", "END"))
    text = [licence, start, book, end, licence, start, "Another book. It is short.", end, licence]
    (tmp_path / "books.txt").write_text("\n".join(text))
    report = prepare(tmp_path / "out", str(tmp_path / "books.txt"), part_megabytes=0.002)
    lines = corpus_lines(tmp_path / "out")
    paragraphs = [s for n in range(150) for s in (f"Paragraph {n} is here.", "It goes on.")]
    assert [line for line in lines if line] == [*paragraphs, "Another book.", "It is short."]
    assert report.total("documents") == 4


def test_json_lines_give_their_field(tmp_path, corpus_lines):
    rows = [{"id": n, "body": f"Title\n\nText {n} é 猫. Second.\nNew line. "} for n in range(3)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    prepare(tmp_path / "out", str(tmp_path / "a.jsonl"), text_field="body")
    assert corpus_lines(tmp_path / "out")[:8] == [
        *("Text 0 é 猫.", "Second.", "New line.", "", "Text 1 é 猫.", "Second.", "New line.", "")
    ]


def test_a_mark_at_the_start_of_a_file_that_says_it_is_utf_8_is_no_text(tmp_path, corpus_lines):
    (tmp_path / "a.jsonl").write_text('{"text": "A cat. It sleeps."}\n', encoding="utf-8-sig")
    (tmp_path / "b.txt").write_text("A dog. It barks.\n", encoding="utf-8-sig")
    prepare(tmp_path / "out", (f"{tmp_path}/a.jsonl", f"{tmp_path}/b.txt"))
    assert corpus_lines(tmp_path / "out") == [
        "A cat.",
        "It sleeps.",
        "",
        "A dog.",
        "It barks.",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"a.jsonl:2: not JSON: .*a complete object.*Received: \{"),
        ('{"title": "x"}', r"a.jsonl:2: no text in the field 'text'.*--text_field.*\"title\""),
        ("{}", r"a.jsonl:2: no text in the field 'text'.*Received: \{\}"),
        ('{"text": 5}', r"a.jsonl:2: no text in the field 'text'.*Received: .*5"),
        ('{"text": null}', r"a.jsonl:2: no text in the field 'text'.*Received: .*null"),
        ('{"text": [' + "1, " * 99 + "1]}", r"no text .*Received: .*\[1, 1, .*, 1?\.\.\.$"),
        ("[1]", r"a.jsonl:2: no text in the field 'text' of an object.*jq -c.*Received: \[1\]"),
        (r'{"text": "Ok. \ud83d"}', r"a.jsonl:2: character 4 of .*, \\ud83d, .*half.*encode"),
        ('{"text": ' + "1" * 5000 + "}", r"a.jsonl:2: not JSON: .*digits"),
        ("[" * 100_000, r"a.jsonl:2: not JSON: .*recursion"),
    ],
)
def test_a_line_without_text_is_refused_with_its_place(tmp_path, line, message):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "A. B."}}\n{line}\n')
    for num_workers in (1, 2) if line == "{" else (1,):
        with pytest.raises(ValueError, match=message):
            prepare(tmp_path / "out", str(tmp_path / "a.jsonl"), num_workers=num_workers)


def test_languages_are_smoothed_by_repetition(tmp_path, articles, make_dump, corpus_lines):
    (tmp_path / "en.xml").write_text(make_dump(articles(900)), encoding="utf-8")
    (tmp_path / "de.xml").write_text(make_dump(articles(60, 5000), "de"), encoding="utf-8")
    report = prepare(
        tmp_path / "out", (f"en={tmp_path}/en.xml", f"de={tmp_path}/de.xml"), num_shards=3
    )
    lines = corpus_lines(tmp_path / "out")
    founded = [int(line.split()[6]) for line in lines if line.startswith("It was founded")]
    written = {
        "en": sum(year < 6000 for year in founded),
        "de": sum(year >= 6000 for year in founded),
    }
    for language, count in (("en", 900), ("de", 60)):
        factor = report.languages[language]["factor"]
        assert written[language] / count == pytest.approx(factor, abs=0.15)
    assert report.languages["de"]["factor"] == pytest.approx(2.0, abs=0.15)
    # 900 to 60 by their characters, 0.7 as the exponent: 6.7 to 1.
    ratio = report.languages["en"]["factor"] * 900 / (report.languages["de"]["factor"] * 60)
    assert ratio == pytest.approx(15**0.7, rel=0.02)
    same = prepare(
        tmp_path / "same", (f"en={tmp_path}/en.xml", f"de={tmp_path}/de.xml"), sampling_exponent=1.0
    )
    assert same.total("documents") == 960


def test_some_sentences_lose_their_end_and_always_the_same_ones(
    tmp_path, articles, make_dump, corpus_lines
):
    (tmp_path / "dump.xml").write_text(make_dump(articles(500)), encoding="utf-8")
    whole = prepare(tmp_path / "whole", str(tmp_path / "dump.xml"))
    report = prepare(tmp_path / "cut", str(tmp_path / "dump.xml"), truncate_probability=0.02)
    pairs = list(zip(corpus_lines(tmp_path / "whole"), corpus_lines(tmp_path / "cut"), strict=True))
    changed = [(a, b) for a, b in pairs if a != b]
    assert whole.total("truncated") == 0
    assert len(changed) == report.total("truncated") == pytest.approx(0.02 * 2000, abs=20)
    for full, cut in changed:
        assert cut
        assert full.split()[: len(cut.split())] == cut.split()
    prepare(
        tmp_path / "first", str(tmp_path / "dump.xml"), truncate_probability=0.02, random_seed=7
    )
    assert corpus_lines(tmp_path / "first") != corpus_lines(tmp_path / "cut")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_file": ("xx=dump.xml",)}, r"language 'xx' is not known.*Known: aa, ab"),
        ({"input_file": ("dump.xml",), "language": "de"}, r"dump says that its language is 'en'"),
        ({"input_file": ("notes.md",)}, r"notes.md: the format cannot be told.*--source"),
        ({"input_file": ("no.xml",)}, r"No file matches the input pattern"),
        ({"input_file": ("dump.xml",), "num_shards": 9}, r"4 documents are left of the input"),
        ({"input_file": ("dump.xml",), "min_sentences": 99}, r"0 documents are left"),
        ({"input_file": ("dump.xml",), "output_dir": "gs://a/b"}, r"must be a local folder"),
        ({"input_file": ("dump.xml",), "source": "web"}, r"--source must be one of"),
        ({"input_file": ("dump.xml",), "split": "a"}, r"--split is for --source=tfds, and .* wiki"),
        ({"input_file": ("notes.txt",), "text_field": "a"}, r"_field is for --source=jsonl and tf"),
        (
            {"input_file": ("notes.txt",), "part_megabytes": float("inf")},
            r"part_megabytes must be a number in \(0, inf\)",
        ),
        ({"input_file": ("http://a.b/c.xml",)}, r"^http://a.b/c.xml: cannot be looked up \("),
        ({"input_file": ("notes.txt",), "tfds_data_dir": "a"}, r"_dir is for .*, and .* is books"),
        ({"input_file": ()}, r"--input_file is needed"),
        ({"input_file": ("dump.xml",), "held_out_share": 1.0}, r"held_out_share must be"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_would_do(
    tmp_path, monkeypatch, articles, make_dump, settings, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dump.xml").write_text(make_dump(articles(4)), encoding="utf-8")
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=message):
        prepare_corpus(CorpusSettings(**{"output_dir": "out", **settings}))


def peak_megabytes(process):
    """(of a process that runs till it ends, the most of one of its children), in MB."""
    peaks = {}
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        with contextlib.suppress(OSError):
            for pid in [str(process.pid), *children.read_text().split()]:
                status = Path(f"/proc/{pid}/status").read_text()
                if "VmHWM" in status:
                    peaks[pid] = int(status.split("VmHWM:")[1].split()[0]) / 1024
        time.sleep(0.02)
    assert process.returncode == 0
    return peaks.pop(str(process.pid)), max(peaks.values())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells peaks on Linux only")
def test_memory_does_not_grow_with_the_dump(tmp_path, articles, make_dump, scripts_dir):
    peaks = []
    xml = "".join(articles(10_000))  # 9 MB
    for times in (1, 5):
        dump = tmp_path / f"dump-{times}.xml.bz2"
        dump.write_bytes(bz2.compress(make_dump([xml] * times).encode(), 1))
        command = [
            *(sys.executable, str(scripts_dir / "prepare_corpus.py"), f"--input_file={dump}"),
            *(f"--output_dir={tmp_path}/{times}", "--num_workers=2", "--part_megabytes=1"),
        ]
        peaks.append(
            peak_megabytes(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
        )
    # Of 40,000 more documents there are indexes, which take 4 MB; there are 36 MB more of text.
    (parent, worker), (parent_of_more, worker_of_more) = peaks
    assert parent_of_more - parent < 12, peaks
    assert worker_of_more - worker < 6, peaks
