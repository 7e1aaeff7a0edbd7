"""Files: patterns, lines of text, and files that appear whole or not at all."""

import contextlib
import gzip
import json
import os
import random
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bert_tf import files
from bert_tf.files import text_lines


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder with files, which is the working directory."""
    names = ["a.txt", "b.txt", ".h.txt", "B.txt", "z9.txt", "z10.txt", "[x].txt", "é.txt"]
    for name in [*names, "sub/c.txt", "sub/.d.txt", "other/c.txt"]:
        (tmp_path / "g" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "g" / name).write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


PATTERNS = r"""
g/*.txt g/* g/*/*.txt g/** g/**/c.txt g/?.txt g/[ab].txt g/[!ab].txt g/[^ab].txt g/\[x\].txt
g/[[]x].txt g/[x].txt g/z*[0-9].txt g/[b-a].txt g/{a,b}.txt nothing nothing/* g/a.txt/* g g/a.txt
./g/*.txt g//a.txt g/sub/../a.txt
"""


@pytest.mark.parametrize("pattern", ["", *PATTERNS.split()])
def test_a_pattern_matches_what_it_matches_in_tensorflow_and_sorted(tree, pattern):
    import tensorflow as tf

    assert files.glob_files(pattern) == sorted(tf.io.gfile.glob(pattern))
    absolute = f"{tree}/{pattern}"
    assert files.glob_files(absolute) == sorted(tf.io.gfile.glob(absolute))


def test_input_files_come_in_the_order_of_the_patterns_and_are_not_merged(tree):
    assert files.expand_input_files("g/z*,g/a.txt,g/[ab].txt") == [
        *("g/z10.txt", "g/z9.txt", "g/a.txt", "g/a.txt", "g/b.txt")
    ]
    assert files.expand_input_files(["g/b.txt", "g/a.txt,g/b.txt"]) == [
        *("g/b.txt", "g/a.txt", "g/b.txt")
    ]


@pytest.mark.parametrize("pattern", ["g/nothing*.txt", "nothing.txt", "g/a.txt,", ""])
def test_a_pattern_that_matches_nothing_is_refused_with_its_text(tree, pattern):
    missing = re.escape(repr(pattern.rpartition(",")[2]))
    with pytest.raises(ValueError, match=f"No file matches.*Received: {missing}"):
        files.expand_input_files(pattern)


@pytest.mark.parametrize("pattern", ["g", "g/sub/", "g/*"])
def test_a_directory_is_refused_with_what_would_do(tree, pattern):
    with pytest.raises(ValueError, match=r"a directory, where a file is needed.*\*'"):
        files.expand_input_files(pattern)


HARD_TEXTS = [
    b"",
    b"\n",
    b"a",
    b"a\n",
    b"a\n\n\nb",
    b"a\r\nb\r\n\r\n",
    b"a\rb\r\rc\n",  # The original's reader drops every carriage return.
    b"a\r",
    b"a\n\r",
    b"a\n\r\r",
    b"\r",
    b"\r\n",
    b"a\x0bb\x0cc\x1cd\x00e\n",
    "a\u2028b\u2029c\u0085d\n".encode(),
    b"\xef\xbb\xbfa\nb\n",
    "\u3000\n\u00a0x \n".encode(),
]


def lines_of_tensorflow(path):
    """What the original release's loop over `readline` sees."""
    import tensorflow as tf

    with tf.io.gfile.GFile(str(path), "r") as file:
        while True:
            line = file.readline()
            if not line:
                return
            yield line.removesuffix("\n")


def lines_as_original(path):
    lines = files.open_text_lines(path, as_original=True)
    return [line.replace("\r", "") for line in lines]


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_lines_are_those_of_tensorflows_reader(tmp_path, text):
    path = tmp_path / "text"
    path.write_bytes(text)
    assert lines_as_original(path) == list(lines_of_tensorflow(path))


def test_lines_of_random_texts_are_those_of_tensorflows_reader(tmp_path):
    rng = random.Random(1)
    path = tmp_path / "text"
    for _ in range(200):
        path.write_bytes(b"".join(rng.choices([b"a", b"\r", b"\n", "é".encode()], k=12)))
        assert lines_as_original(path) == list(lines_of_tensorflow(path))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"a\rb\r\nc\r\r\n\r\nd\r", ["a b", "c", "", "d"]),
        (b"a\rb\r\rc", ["a", "b", "", "c"]),  # No other line ends, as of old Macs.
        (b"a\rb\r", ["a", "b"]),
        (b"a\rb\rc\n", ["a", "b", "c"]),  # With a last line end of an editor's.
        (b"a\rb\n", ["a b"]),
        (b"a\r" + b"b" * 5000 + b"\nc", ["a " + "b" * 5000, "c"]),
        (b"a" * 5000 + b"\rb", ["a" * 5000, "b"]),
        ("a\vb\fc\x85d\u2028\x1c\x1fe\n".encode(), ["a b c d\u2028  e"]),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_separates_words_or_lines_is_not_dropped(tmp_path, text, lines, pack):
    (tmp_path / "text").write_bytes(pack(text))
    assert list(files.open_text_lines(tmp_path / "text")) == lines


def test_a_file_of_returns_is_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(text_lines, "_BLOCK_BYTES", 3)
    monkeypatch.setattr(text_lines, "HEAD_BYTES", 6)
    (tmp_path / "text").write_bytes(b"ab\rcde\r\rf\rg\r\n")
    assert list(files.open_text_lines(tmp_path / "text")) == ["ab", "cde", "", "f", "g"]


@pytest.mark.parametrize("text", [b"a\n" + b"b" * 5000, b"\r" + b"b" * 5000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_line_beyond_the_limit_is_refused_with_its_place(tmp_path, monkeypatch, text, pack):
    monkeypatch.setattr(text_lines, "_MAX_LINE_BYTES", 4500)
    (tmp_path / "text").write_bytes(pack(text))
    with pytest.raises(ValueError, match="text:2: a line is too long"):
        list(files.open_text_lines(tmp_path / "text"))


def test_gzip_data_that_grows_beyond_measure_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text_lines, "_ALWAYS_UNPACKED_BYTES", 1000)
    (tmp_path / "text").write_bytes(gzip.compress(b"a\n" * 500_000))
    with pytest.raises(ValueError, match=r"text:\d+: the unpacked file is too long"):
        list(files.open_text_lines(tmp_path / "text"))


def test_truncated_gzip_data_gives_its_complete_lines_and_then_names_the_next(tmp_path):
    text = b"".join(b"%d\n" % number**9 for number in range(200))  # Less than a head.
    (tmp_path / "text.gz").write_bytes(gzip.compress(text)[:-20])
    lines, given = files.open_text_lines(tmp_path / "text.gz"), []
    with pytest.raises(ValueError, match=r"text\.gz:\d+: damaged or truncated gzip") as error:
        given.extend(lines)
    assert len(given) > 100
    assert f"text.gz:{len(given) + 1}: " in str(error.value)


def test_a_gzipped_file_gives_the_lines_of_the_plain_one_whatever_its_name(tmp_path):
    plain, packed = tmp_path / "plain.gz", tmp_path / "packed.txt"
    plain.write_bytes(b"a\r\nb\n\nc")
    packed.write_bytes(gzip.compress(b"a\r\nb\n\nc"))
    assert list(files.open_text_lines(plain)) == ["a", "b", "", "c"]
    assert list(files.open_text_lines(packed)) == ["a", "b", "", "c"]


def test_the_bytes_reported_while_reading_add_up_to_the_files_size(tmp_path):
    text = b"".join(b"line %d\n" % number for number in range(5000))
    for name, content in (("plain", text), ("packed", gzip.compress(text))):
        (tmp_path / name).write_bytes(content)
        reported = []
        assert len(list(files.open_text_lines(tmp_path / name, reported.append))) == 5000
        assert sum(reported) == len(content)
        assert len(reported) > 1


def test_bytes_that_are_not_utf8_are_refused_with_their_line(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"fine\nalso\ncaf\xe9 au lait\n")
    with pytest.raises(ValueError, match=r"latin\.txt:3: not UTF-8: byte 0xe9 at byte 3"):
        list(files.open_text_lines(path))


def test_utf16_is_refused(tmp_path):
    path = tmp_path / "wide.txt"
    path.write_text("wide", encoding="utf-16")
    with pytest.raises(ValueError, match=r"wide\.txt: UTF-16 text.*iconv -f UTF-16"):
        list(files.open_text_lines(path))


def test_damaged_gzip_data_are_refused_with_their_line(tmp_path):
    text = "".join(f"{random.Random(n).random()}\n" for n in range(2000)).encode()
    packed = gzip.compress(text)
    for content in (packed[:-500], packed[:3000] + b"\0" * 500 + packed[3500:]):
        (tmp_path / "cut.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"cut\.gz:\d+: damaged or truncated gzip data"):
            list(files.open_text_lines(tmp_path / "cut.gz"))


def test_a_missing_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        list(files.open_text_lines(tmp_path / "nothing"))


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new"
    with files.atomic_write(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert os.listdir(tmp_path) == ["new"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a").write_text("old")

    def write_half():
        with files.atomic_writes([tmp_path / "a", tmp_path / "b"], "w") as (first, second):
            first.write("new")
            second.write("new")
            raise error

    with pytest.raises(error):
        write_half()
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_of_several_files_none_appears_before_all_are_whole(tmp_path, monkeypatch):
    paths = [tmp_path / "a", tmp_path / "b"]

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with (
        pytest.raises(OSError, match="No space left") as caught,
        files.atomic_writes(paths) as (first, _),
    ):
        first.write(b"x")
    assert str(tmp_path / "a") in str(caught.value)
    assert os.listdir(tmp_path) == []


FILL_DISK = """
import resource, sys
from bert_tf import files
from bert_tf.files import text_lines
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with files.atomic_write(sys.argv[1]) as file:
        for _ in range(int(sys.argv[2])):
            file.write(b"0123456789")
except OSError as error:
    print(type(error).__name__, error.filename)
"""


@pytest.mark.parametrize("tens_of_bytes", [101, 1000, 10000])
def test_a_full_disk_is_an_error_with_the_path_and_leaves_nothing(tmp_path, tens_of_bytes):
    # Of the sizes some are met by a write, some not before the file is closed.
    path = str(tmp_path / "a")
    command = [sys.executable, "-c", FILL_DISK, path, str(tens_of_bytes)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"OSError {path}\n"
    assert os.listdir(tmp_path) == []


def test_a_full_device_is_an_error():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(OSError, match=r"No space left on device: '/dev/full'"),
        files.atomic_write("/dev/full") as file,
    ):
        file.write(b"x")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_device_is_written_and_not_replaced():
    with files.atomic_write("/dev/null") as file:
        file.write(b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_link_stays_a_link_to_what_was_written(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with files.atomic_write(tmp_path / "link", "w") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_new_file_has_the_permissions_that_any_new_file_has(tmp_path):
    (tmp_path / "plain").write_text("")
    with files.atomic_write(tmp_path / "atomic") as file:
        file.write(b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_writing_to_a_folders_name_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="Is a directory"), files.atomic_write(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_writing_below_a_file_is_refused_with_the_path(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(NotADirectoryError, match="a/b"), files.atomic_write(tmp_path / "a/b"):
        pass


def test_paths_of_other_file_systems_are_opened_through_tensorflow():
    folder = "ram://bert_tf_test_files"
    files.make_directories(f"{folder}/sub")
    with files.atomic_write(f"{folder}/sub/b.txt", "w") as file:
        file.write("é\r\nx")
    with files.atomic_write(f"{folder}/sub/a.txt.gz") as file:
        file.write(gzip.compress(b"zipped"))
    assert files.glob_files(f"{folder}/sub/*.txt*") == [
        *(f"{folder}/sub/a.txt.gz", f"{folder}/sub/b.txt")
    ]
    assert list(files.open_text_lines(f"{folder}/sub/b.txt")) == ["é", "x"]
    assert list(files.open_text_lines(f"{folder}/sub/a.txt.gz")) == ["zipped"]
    assert files.file_size(f"{folder}/sub/b.txt") == 5
    assert files.is_directory(f"{folder}/sub")
    with contextlib.suppress(ZeroDivisionError), files.atomic_write(f"{folder}/sub/c") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert not files.exists(f"{folder}/sub/c")
    assert len(files.glob_files(f"{folder}/sub/*")) == 2
    files.remove_file(f"{folder}/sub/b.txt")
    assert not files.exists(f"{folder}/sub/b.txt")


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a", (".", "a")),
        ("b/a", ("b", "a")),
        ("/a", ("/", "a")),
        ("gs://bucket/b/a", ("gs://bucket/b", "a")),
    ],
)
def test_a_path_is_split_into_folder_and_name(path, parts):
    assert files.split_path(path) == parts
    assert files.split_path(files.join_path(*parts))[1] == parts[1]


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    with files.new_folder(tmp_path / "a") as folder:
        Path(folder, "x").write_text("x")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "x").read_text() == "x"

    with pytest.raises(OSError, match="not empty"), files.new_folder(tmp_path / "a") as folder:
        Path(folder, "y").write_text("y")
    with contextlib.suppress(ZeroDivisionError), files.new_folder(tmp_path / "b"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["a"]


HOLDER = """
import contextlib, sys, time
from bert_tf import files
with getattr(files, sys.argv[1])(sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(("hold", "name"), [("hold_folder", "new/run"), ("hold_file", "a.txt")])
def test_a_second_process_is_refused_until_the_first_one_ends_even_by_a_kill(tmp_path, hold, name):
    path = str(tmp_path / name)
    command = [sys.executable, "-c", HOLDER, hold, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout.readline() == "held\n"
            who = rf"{name}: process {first.pid} on \S+, since 20.*, is writing there\. Wait"
            with pytest.raises(ValueError, match=who), getattr(files, hold)(path):
                pass
        finally:
            first.kill()
    left = sorted(tmp_path.rglob(".*.lock")) + sorted(tmp_path.rglob(".lock"))
    assert left, "The killed process could not remove its file."
    with getattr(files, hold)(path):
        assert str(os.getpid()) in left[0].read_text()
    assert not left[0].exists()


def test_a_held_folder_is_removed_if_nothing_was_written_there_and_it_is_new(tmp_path):
    with files.hold_folder(str(tmp_path / "new")):
        assert os.listdir(tmp_path) == ["new"]
    assert not os.listdir(tmp_path)
    with files.hold_folder(str(tmp_path)):
        pass
    with files.hold_folder(str(tmp_path / "new")):
        (tmp_path / "new" / "a").touch()
    assert os.listdir(tmp_path / "new") == ["a"]


def test_what_killed_processes_left_of_a_held_file_is_removed_and_nothing_of_others(tmp_path):
    path = tmp_path / "a.txt"
    (tmp_path / ".a.txt.0123abcd.tmp").mkdir()
    (tmp_path / ".a.txt.0123abcd.tmp" / "b").touch()
    (tmp_path / ".a.txt.89abcdef.tmp").touch()
    others = [tmp_path / ".a.txt.gz.0123abcd.tmp", tmp_path / ".b.txt.0123abcd.tmp"]
    for other in others:
        other.touch()
    with files.hold_file(str(path)), files.atomic_write(path) as file:
        file.write(b"whole")
    assert sorted(tmp_path.iterdir()) == [*others, path]


@pytest.mark.parametrize("place", ["gs://bucket/run", "/proc/run"])
def test_a_place_that_cannot_be_locked_is_left_to_the_program(place):
    with files.hold_folder(place), files.hold_file(place):
        pass


def test_half_of_a_character_from_json_is_written_as_its_escape(tmp_path):
    text = json.dumps({"text": "a\ud800b", "é": 1}, ensure_ascii=False)
    with files.atomic_write(tmp_path / "text", "w") as file:
        file.write(text)
    assert (tmp_path / "text").read_text("utf-8") == '{"text": "a\\ud800b", "é": 1}'
