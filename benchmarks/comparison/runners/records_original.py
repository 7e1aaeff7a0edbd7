"""Makes pre-training records by google-research's create_pretraining_data.py."""

from records import output_file, report_digest, run
from reporting import read_settings, report_versions

SETTINGS = read_settings()


def main() -> None:
    report_versions("bert-tensorflow", "tensorflow")
    path = output_file(SETTINGS, "original")
    run(SETTINGS, ["-m", "bert.create_pretraining_data"], {"output_file": path})
    report_digest(path)


if __name__ == "__main__":
    main()
