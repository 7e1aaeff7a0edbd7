"""Downloads from a server that breaks off, stalls, lies, and now and then serves the file."""

import dataclasses
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from small_release import MODEL, WORDS, write_release, write_zip
from zip_server import HTML, Reply, ZipServer, goog_hash

from bert_tf import BertEncoder, load_checkpoint
from bert_tf.released import models, transfer
from bert_tf.released.download import DownloadOptions, download_model, unpack_archive
from bert_tf.released.transfer import DownloadError

PATIENCE = {"stall_seconds": 0.3, "attempts": 3, "pause_seconds": 0.01}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release") / MODEL.folder)


@pytest.fixture(scope="module")
def content(release):
    return write_zip(release.parent / "model.zip", release).read_bytes()


@pytest.fixture
def serve(content):
    """Starts servers of the model's zip, which answer as they are told."""
    servers = []

    def start(*replies):
        servers.append(ZipServer(content, list(replies) or [Reply()]))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def download(tmp_path, monkeypatch):
    """Downloads the model from a server into a cache."""

    def run(server, model=MODEL, **arguments):
        arguments = {**PATIENCE, "cache_dir": str(tmp_path / "cache"), **arguments}
        options = DownloadOptions(mirror=server.address, **arguments)
        monkeypatch.setattr(models, "RELEASED_MODELS", (model,))
        return Path(download_model(model.name, options))

    return run


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


FINAL = "2018_10_18/uncased_L-1_H-8_A-2"
WHOLE = [
    f"{FINAL}/{name}"
    for name in (
        *("bert_config.json", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index"),
        *("files.json", "vocab.txt"),
    )
]


def assert_nothing_is_left(tmp_path):
    assert files_in(tmp_path / "cache") == []
    assert not (tmp_path / "cache" / FINAL).exists()


def test_a_model_arrives_whole_with_progress_and_nothing_else_stays(
    serve, download, release, tmp_path
):
    server, stream = serve(), io.StringIO()
    folder = download(server, stream=stream)
    assert folder == tmp_path / "cache" / FINAL
    assert files_in(tmp_path / "cache") == WHOLE
    for name in ("vocab.txt", "bert_model.ckpt.index"):
        assert (folder / name).read_bytes() == (release / name).read_bytes()
    assert load_checkpoint(BertEncoder(MODEL.config), str(folder)).missing == ()
    assert "100 %" in stream.getvalue()
    assert [path for path, _ in server.requests] == [f"/{MODEL.path}"]


def test_a_model_that_is_there_needs_no_network(serve, download):
    server = serve()
    folder = download(server)
    server.stop()
    assert download(server) == folder
    assert len(server.requests) == 1


def test_the_cache_and_the_mirror_can_be_named_by_the_environment(serve, tmp_path, monkeypatch):
    server = serve()
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("BERT_TF_MIRROR", server.address)
    monkeypatch.setattr(models, "RELEASED_MODELS", (MODEL,))
    found = download_model(MODEL.name)
    assert found == str(tmp_path / "elsewhere" / FINAL)


def test_a_folder_in_which_something_was_lost_is_made_anew(serve, download):
    server = serve()
    folder = download(server)
    data = folder / "bert_model.ckpt.data-00000-of-00001"
    os.truncate(data, data.stat().st_size // 2)
    assert download(server) == folder
    assert len(server.requests) == 2
    assert load_checkpoint(BertEncoder(MODEL.config), str(folder)).missing == ()


@pytest.mark.parametrize("stalls", [False, True], ids=["breaks off", "stalls"])
def test_a_broken_connection_goes_on_where_it_broke(serve, download, tmp_path, stalls):
    server = serve(Reply(stop_after=1000, stalls=stalls), Reply(stop_after=500), Reply())
    download(server)
    assert server.ranges() == [None, "bytes=1000-", "bytes=1500-"]
    assert files_in(tmp_path / "cache") == WHOLE


def test_a_later_run_goes_on_from_what_an_earlier_one_left(serve, download, tmp_path):
    server = serve(Reply(stop_after=1000), Reply(stop_after=0))
    with pytest.raises(DownloadError, match=r"3 attempts in a row.*1,000 bytes have arrived"):
        download(server)
    assert not (tmp_path / "cache" / FINAL).exists()
    assert [name for name in files_in(tmp_path / "cache") if name.endswith(".part")]
    server.replies = [Reply()]
    download(server)
    assert server.ranges()[-1] == "bytes=1000-"
    assert files_in(tmp_path / "cache") == WHOLE


def test_a_killed_run_leaves_no_final_name_and_the_next_one_goes_on(
    serve, download, tmp_path, content
):
    server = serve(Reply(stop_after=len(content) // 2, stalls=True), Reply())
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bert_tf.released.transfer import DownloadOptions, fetch_zip\n"
        "fetch_zip(sys.argv[1], Path(sys.argv[2]), DownloadOptions(), 1 << 30)\n"
    )
    part = tmp_path / "cache" / f"{FINAL}.zip.part"
    part.parent.mkdir(parents=True)
    url = f"{server.address}/{MODEL.path}"
    process = subprocess.Popen([sys.executable, "-c", code, url, str(part)])
    deadline = time.monotonic() + 60
    while not part.exists() or part.stat().st_size < len(content) // 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cache" / FINAL).exists()
    # What was being unpacked when a run was killed is removed as well.
    rest = part.parent / f".{MODEL.folder}.0123abcd.tmp"
    rest.mkdir()
    (rest / "vocab.txt").write_text("half")
    download(server)
    assert server.ranges() == [None, f"bytes={len(content) // 2}-"]
    assert files_in(tmp_path / "cache") == WHOLE


@pytest.mark.parametrize(
    "again",
    [
        Reply(knows_ranges=False),
        Reply(has_length=False, knows_ranges=False),
        Reply(etag='"second"'),
        Reply(etag=None, headers=(("Last-Modified", "Thu, 18 Oct 2018 10:00:00 GMT"),)),
    ],
    ids=["knows no ranges", "nor lengths", "another version", "another date"],
)
def test_a_server_that_does_not_continue_is_read_from_the_start(serve, download, tmp_path, again):
    server = serve(Reply(stop_after=1000), again)
    download(server)
    assert server.ranges() == [None, "bytes=1000-"]
    assert files_in(tmp_path / "cache") == WHOLE


def test_another_file_s_rest_is_never_added(serve, download, tmp_path):
    server = serve(Reply(stop_after=1000), Reply(content_range="bytes 900-4000/99999"), Reply())
    download(server)
    assert server.ranges() == [None, "bytes=1000-", None]
    assert files_in(tmp_path / "cache") == WHOLE


def test_a_file_that_became_shorter_is_read_from_the_start(serve, download, content, tmp_path):
    server = serve(Reply(stop_after=1000, content=content * 2), Reply(content=content[:900]))
    server.replies.append(Reply())
    download(server)
    assert server.ranges() == [None, "bytes=1000-", None]
    assert files_in(tmp_path / "cache") == WHOLE


def test_nothing_is_continued_that_the_server_cannot_vouch_for(serve, download):
    server = serve(Reply(stop_after=1000, etag='W/"weak"'), Reply())
    download(server)
    assert server.ranges() == [None, None]


@pytest.mark.parametrize("content_type", ["text/html", "application/zip"])
def test_an_error_page_is_not_taken_for_a_model(serve, download, tmp_path, content_type):
    server = serve(Reply(content=HTML, content_type=content_type))
    with pytest.raises(DownloadError, match=r"no zip but .*DOCTYPE html.*error page.*--model"):
        download(server)
    assert len(server.requests) == 1
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, r"refuses \(403 Forbidden\).*try later.*mirror.*--model"),
        (404, r"no such file \(404 Not Found\).*mirror"),
    ],
)
def test_a_refusal_says_what_would_do(serve, download, tmp_path, status, message):
    server = serve(Reply(status=status))
    with pytest.raises(DownloadError, match=message):
        download(server)
    assert len(server.requests) == 1
    assert_nothing_is_left(tmp_path)


def test_a_server_in_trouble_is_asked_again(serve, download, tmp_path):
    server = serve(Reply(status=503), Reply(status=429), Reply())
    download(server)
    assert len(server.requests) == 3
    assert files_in(tmp_path / "cache") == WHOLE


def test_no_server_at_all_is_told_after_some_attempts(serve, download, tmp_path):
    server = serve()
    server.stop()
    with pytest.raises(DownloadError, match=r"refused.*3 attempts in a row"):
        download(server)
    assert_nothing_is_left(tmp_path)


def test_attempts_are_further_and_further_apart(serve, download, monkeypatch):
    pauses = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)
    with pytest.raises(DownloadError):
        download(serve(Reply(status=500)), stall_seconds=1.0, attempts=5, pause_seconds=2.0)
    assert pauses == [2.0, 4.0, 8.0, 16.0]


def test_the_md5_sum_that_the_server_gives_is_verified(serve, download, content, tmp_path):
    assert download(serve(Reply(headers=(goog_hash(content),)))).exists()
    server = serve(Reply(headers=(goog_hash(content + b"x"),)))
    with pytest.raises(DownloadError, match="MD5"):
        download(server, cache_dir=str(tmp_path / "other"))
    assert files_in(tmp_path / "other") == []


@pytest.mark.parametrize("has_length", [False, True])
def test_more_than_the_file_can_have_is_not_read(serve, download, tmp_path, has_length):
    content = b"PK\x03\x04" + bytes(MODEL.max_zip_bytes + (1 << 20))
    server = serve(Reply(content=content, has_length=has_length))
    message = rf"/{MODEL.path}: the server sends more than the {MODEL.max_zip_bytes:,} bytes"
    with pytest.raises(DownloadError, match=message) as error:
        download(server)
    assert str(tmp_path / "cache") in str(error.value)
    assert len(server.requests) == 1
    assert_nothing_is_left(tmp_path)


def test_published_sums_of_the_files_are_verified(serve, download, tmp_path):
    model = dataclasses.replace(MODEL, sha256={"vocab.txt": "0" * 64})
    with pytest.raises(ValueError, match=r"is not bert_small_test.*vocab.txt: its SHA-256 is 0000"):
        download(serve(), model)
    assert_nothing_is_left(tmp_path)


def test_a_zip_that_is_whole_to_the_server_and_truncated_is_refused(
    serve, download, content, tmp_path
):
    server = serve(Reply(content=content[: len(content) // 2]))
    with pytest.raises(ValueError, match=r"is not bert_small_test.*damaged or incomplete"):
        download(server)
    assert_nothing_is_left(tmp_path)


def test_a_zip_whose_bytes_were_altered_is_refused(serve, download, content, tmp_path):
    altered = bytearray(content)
    altered[len(content) // 2] ^= 0xFF
    with pytest.raises(ValueError, match="damaged or incomplete"):
        download(serve(Reply(content=bytes(altered))))
    assert_nothing_is_left(tmp_path)


def other_width(folder):
    write_release(folder, dataclasses.replace(MODEL, hidden_size=12))


def other_weights(folder):
    other_width(folder)
    (folder / "bert_config.json").write_text(MODEL.config.to_json_string())


def other_vocabulary(folder):
    write_release(folder, words=[*WORDS, "new"])


def without_heads(folder):
    write_release(folder, heads=False)


def truncated_data(folder):
    write_release(folder)
    data = folder / "bert_model.ckpt.data-00000-of-00001"
    os.truncate(data, data.stat().st_size - 4)


def without_data(folder):
    write_release(folder)
    (folder / "bert_model.ckpt.data-00000-of-00001").unlink()


def damaged_index(folder):
    write_release(folder)
    (folder / "bert_model.ckpt.index").write_bytes(b"no table")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (other_width, "another model's: hidden_size is 12, the model's is 8"),
        (other_weights, r"LayerNorm/gamma is \[12\], the config's is \[8\]"),
        (other_vocabulary, "vocab.txt: it has 11 rows, the model's vocabulary 10"),
        (without_heads, "variables are not in it: cls/predictions/"),
        (truncated_data, "bert_model.ckpt: the checkpoint cannot be read"),
        (without_data, "bert_model.ckpt: the checkpoint cannot be read"),
        (damaged_index, "plain text, where part of a TensorFlow checkpoint is needed"),
    ],
)
def test_another_model_in_the_zip_is_refused(serve, download, tmp_path, make, message):
    make(tmp_path / MODEL.folder)
    wrong = write_zip(tmp_path / "wrong.zip", tmp_path / MODEL.folder)
    with pytest.raises(ValueError, match=f"is not bert_small_test, and was removed: .*{message}"):
        download(serve(Reply(content=wrong.read_bytes())))
    assert_nothing_is_left(tmp_path)


def test_a_zip_that_would_write_elsewhere_is_refused(serve, download, release, tmp_path):
    path = write_zip(tmp_path / "evil.zip", release)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil", "evil")
    with pytest.raises(ValueError, match="outside of its folder"):
        download(serve(Reply(content=path.read_bytes())))
    assert_nothing_is_left(tmp_path)
    assert not list(tmp_path.rglob("evil"))


def test_two_at_once_download_once(serve, download):
    server = serve(Reply(stop_after=1000, stalls=True), Reply())
    found = []
    threads = [threading.Thread(target=lambda: found.append(download(server))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(found)) == 1
    assert len(found) == 2
    assert server.ranges() == [None, "bytes=1000-"]


def test_a_zip_is_unpacked_once_wherever_it_lies(release, tmp_path):
    cache = str(tmp_path / "cache")
    first = write_zip(tmp_path / "a.zip", release)
    folder = unpack_archive(str(first), cache)
    assert Path(folder).name == MODEL.folder
    inventory = Path(folder, "files.json").stat().st_mtime_ns
    second = first.rename(tmp_path / "b.zip")
    assert unpack_archive(str(second), cache) == folder
    assert Path(folder, "files.json").stat().st_mtime_ns == inventory


def test_another_zip_of_the_same_name_is_another_model(release, tmp_path):
    cache = str(tmp_path / "cache")
    path = write_zip(tmp_path / "model.zip", release)
    folder = unpack_archive(str(path), cache)
    write_zip(path, release, root="new name [1]/")
    other = unpack_archive(str(path), cache)
    assert other != folder
    assert re.fullmatch(r"new_name__1_", Path(other).name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (truncated_data, r"wrong\.zip: bert_model\.ckpt: the checkpoint cannot be read"),
        (other_weights, r"wrong\.zip: bert_model\.ckpt: .*the config's is \[8\]"),
        (other_vocabulary, r"wrong\.zip: vocab\.txt: it has 11 rows, the model's vocabulary 10"),
    ],
)
def test_a_zip_of_a_model_that_is_not_whole_is_refused(tmp_path, make, message):
    make(tmp_path / "model")
    path = write_zip(tmp_path / "wrong.zip", tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        unpack_archive(str(path), str(tmp_path / "cache"))
    assert files_in(tmp_path / "cache") == []


def test_a_zip_of_an_encoder_alone_will_do(tmp_path):
    path = write_zip(tmp_path / "encoder.zip", write_release(tmp_path / "model", heads=False))
    folder = unpack_archive(str(path), str(tmp_path / "cache"))
    assert load_checkpoint(BertEncoder(MODEL.config), folder).missing == ()
