"""Makes pre-training records by run_scripts/create_pretraining_data.py.

Shards are made by a worker per core, or by `one_worker`.
"""

import shutil
from pathlib import Path

from records import output_file, report_digest, run
from reporting import num_threads, read_settings, report_versions

SETTINGS = read_settings()
SCRIPT = str(Path(__file__).parents[3] / "run_scripts" / "create_pretraining_data.py")


def main() -> None:
    report_versions("numpy")
    if SETTINGS.num_shards:
        folder = Path(SETTINGS.work_dir, "shards")
        workers = 1 if SETTINGS.variant == "one_worker" else num_threads()
        flags = {"output_dir": folder, "num_shards": SETTINGS.num_shards, "num_workers": workers}
        shutil.rmtree(folder, ignore_errors=True)
        run(SETTINGS, [SCRIPT], flags)
        shutil.rmtree(folder)
    else:
        path = output_file(SETTINGS, "bert_tf")
        run(SETTINGS, [SCRIPT], {"output_file": path})
        report_digest(path)


if __name__ == "__main__":
    main()
