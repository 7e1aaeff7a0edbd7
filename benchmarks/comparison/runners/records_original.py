"""Makes pre-training records by google-research's create_pretraining_data.py."""

import tensorflow as tf
from records import output_file, report_digest, run
from reporting import read_settings, report_versions

SETTINGS = read_settings()


def main() -> None:
    report_versions("bert-tensorflow", "tensorflow")
    path = output_file(SETTINGS, "original")
    run(SETTINGS, ["-m", "bert.create_pretraining_data"], {"output_file": path})
    report_digest(path, with_sorted_names)


def with_sorted_names(record: bytes) -> bytes:
    """Returns a record with its features in the order of their names; the original has none."""
    example = tf.train.Example.FromString(record)
    return example.SerializeToString(deterministic=True)


if __name__ == "__main__":
    main()
