"""Checkpoints out of zips: at any depth, and nothing that leads out of the folder."""

import stat
import zipfile

import pytest

from bert_tf.released.archive import checkpoint_name, extract_checkpoint

FILES = {"bert_config.json": b"{}", "vocab.txt": b"[PAD]\n", "bert_model.ckpt.index": b"index"}


def write_zip(path, members, **attributes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            member = zipfile.ZipInfo("x")
            # Not by its constructor, which mends some names.
            member.filename = member.orig_filename = name
            for key, value in attributes.get(name, {}).items():
                setattr(member, key, value)
            archive.writestr(member, content)
    return path


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "outer" / "target"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("root", ["", "uncased_L-2_H-128_A-2/", "a/b/uncased_L-2_H-128_A-2/"])
def test_the_checkpoint_s_files_are_found_at_any_depth(tmp_path, target, root):
    members = [(f"{root}{name}", content) for name, content in FILES.items()]
    members += [("__MACOSX/bert_config.json", b""), (f"{root}more/notes.txt", b"")]
    path = write_zip(tmp_path / "model.zip", [("README", b""), *members])
    extract_checkpoint(path, target)
    found = {file.name: file.read_bytes() for file in target.iterdir()}
    assert {name: found[name] for name in FILES} == FILES
    assert set(found) - set(FILES) <= {"README"}
    assert checkpoint_name(path) == (root.split("/")[-2] if root else "model")


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/../../evil", "/tmp/evil", "\\evil", "..\\evil", "a\\..\\..\\evil"),
        *("C:/evil", "C:\\evil", "model/..", "evil\0.txt"),
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, target, name):
    path = write_zip(tmp_path / "model.zip", [*FILES.items(), (name, b"evil")])
    with pytest.raises(ValueError, match=r"refused: .*outside of its folder"):
        extract_checkpoint(path, target)
    assert list(target.iterdir()) == []
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path, target, kind):
    members = [*FILES.items(), ("vocab2.txt", b"/etc/passwd")]
    attributes = {"vocab2.txt": {"external_attr": (kind | 0o777) << 16}}
    path = write_zip(tmp_path / "model.zip", members, **attributes)
    with pytest.raises(ValueError, match=r"refused: 'vocab2.txt' in the zip is a link or a device"):
        extract_checkpoint(path, target)
    assert list(target.iterdir()) == []


def test_two_files_of_one_name_are_refused(tmp_path, target):
    path = tmp_path / "model.zip"
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_zip(path, [*FILES.items(), ("vocab.txt", b"other")])
    with pytest.raises(ValueError, match=r"'vocab.txt' is in the zip twice"):
        extract_checkpoint(path, target)


def test_a_zip_of_several_models_is_refused_with_their_names(tmp_path, target):
    path = write_zip(
        tmp_path / "all.zip", [("a/bert_config.json", b"{}"), ("b/bert_config.json", b"{}")]
    )
    with pytest.raises(ValueError, match=r"2 models in the archive.*: a, b"):
        extract_checkpoint(path, target)


def test_a_zip_of_something_else_is_refused_with_what_is_in_it(tmp_path, target):
    path = write_zip(tmp_path / "model.zip", [("config.json", b"{}")])
    with pytest.raises(
        ValueError,
        match=r"no bert_config.json or albert_config.json in the archive. There: config.json",
    ):
        extract_checkpoint(path, target)


@pytest.mark.parametrize("damage", ["cut", "altered", "no zip"])
def test_a_damaged_zip_is_refused(tmp_path, target, damage):
    path = write_zip(tmp_path / "model.zip", [*FILES.items(), ("big", bytes(range(256)) * 64)])
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-30]
    elif damage == "altered":
        place = content.index(b"[PAD]") if b"[PAD]" in content else content.index(b"vocab.txt") + 12
        content[place] ^= 0xFF
    else:
        content = b"<html>"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.zip: .*(damaged or incomplete|an HTML page)"):
        extract_checkpoint(path, target)


def test_a_disk_without_room_is_named_before_anything_is_written(tmp_path, target, monkeypatch):
    path = write_zip(tmp_path / "model.zip", FILES.items())
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3}))
    with pytest.raises(OSError, match="BERT_TF_CACHE"):
        extract_checkpoint(path, target)
    assert list(target.iterdir()) == []


def test_a_file_that_grows_beyond_measure_is_refused(tmp_path, target):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bert_config.json", "{}")
        with archive.open("bert_model.ckpt.data-00000-of-00001", "w", force_zip64=True) as member:
            for _ in range(70):
                member.write(bytes(1 << 24))
    with pytest.raises(ValueError, match=r"bomb.zip: refused: 'bert_model.* grows from"):
        extract_checkpoint(path, target)
    assert not list(target.iterdir())
