"""Small vocabularies, texts and files of records for the tests of data."""

import gzip
import importlib.util
import io
import random
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from bert_tf.data import record_index, schema
from bert_tf.data.record_index import RecordIndex

Writer = Callable[..., str]


def _crc32c(data: bytes) -> int:
    """Bit by bit, as in the definition: the library's own is a table."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _masked_crc(data: bytes) -> bytes:
    crc = _crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def frame_record(record: bytes) -> bytes:
    """A record as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


@pytest.fixture
def write_records(tmp_path: Path) -> Writer:
    """Writes records (bytes) as a TFRecord file under a name in the test's folder."""

    def write(name: str, records: Iterable[bytes]) -> str:
        data = b"".join(map(frame_record, records))
        if name.endswith(".gz"):
            packed = io.BytesIO()
            with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
                file.write(data)
            data = packed.getvalue()
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write


@pytest.fixture
def write_numbered(write_records: Writer) -> Writer:
    """Writes records whose one feature, `number`, counts from `start`."""

    def write(name: str, start: int, count: int) -> str:
        numbers: Sequence[int] = range(start, start + count)
        return write_records(name, (schema.encode_example({"number": [n]}) for n in numbers))

    return write


@pytest.fixture
def build_index(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RecordIndex]:
    """`build_record_index` with blocks of these sizes in plain and in compressed files."""

    def build(paths, per_block=1024, per_compressed_block=65536, **settings) -> RecordIndex:
        monkeypatch.setattr(record_index, "RECORDS_PER_BLOCK", per_block)
        monkeypatch.setattr(record_index, "RECORDS_PER_COMPRESSED_BLOCK", per_compressed_block)
        return record_index.build_record_index(paths, **settings)

    return build


@pytest.fixture(scope="session")
def straightforward() -> Callable[[str], ModuleType]:
    """Gives what is in benchmarks/straightforward_NAME.py: algorithms written a second time."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).parents[2] / "benchmarks" / f"straightforward_{name}.py"
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


LETTERS = "abcdefgh"


@pytest.fixture
def toy_vocab(tmp_path: Path) -> str:
    """A vocabulary for words of the letters a to h: each is a piece, and some longer ones are."""
    tokens = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "!"]
    tokens += [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokens += ["ab", "abc", "##cd", "##efg", "[unused2]", "A"]
    tokens += [f"word{number}" for number in range(300)]  # Ids of one and of two bytes.
    path = tmp_path / "toy_vocab.txt"
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def write_text(tmp_path: Path) -> Callable[..., str]:
    """Writes documents of random sentences as a text file; gives its path."""

    def write(name: str, num_documents: int, seed: int = 0, max_sentences: int = 8) -> str:
        rng = random.Random(seed)
        documents = []
        for _ in range(num_documents):
            sentences = []
            for _ in range(rng.randint(1, max_sentences)):
                words = ["".join(rng.choices(LETTERS, k=rng.randint(1, 6))) for _ in range(12)]
                sentences.append(" ".join(words[: rng.randint(1, 12)]) + rng.choice(".!"))
            documents.append("\n".join(sentences) + "\n")
        path = tmp_path / name
        path.write_text("\n".join(documents), encoding="utf-8")
        return str(path)

    return write
