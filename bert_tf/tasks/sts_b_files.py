"""Says where the STS benchmark's files hold the two sentences and the score, from 0 to 5.

train.tsv, dev.tsv, test.tsv          as GLUE distributes them
stsb-en-train.csv, ...                as the multilingual benchmark does
"""

from bert_tf.tasks.benchmark_reader import Layout

# fmt: off
STS_B_LAYOUTS = {
    "train": (Layout(("train.tsv",), (7, 8, 9)),
              Layout(("stsb-en-train.csv",), (0, 1, 2), has_header=False)),
    "eval": (Layout(("dev.tsv",), (7, 8, 9)),
             Layout(("stsb-en-dev.csv",), (0, 1, 2), has_header=False)),
    "predict": (Layout(("test.tsv",), (7, 8)),
                Layout(("stsb-en-test.csv",), (0, 1), has_header=False)),
}
# fmt: on
STS_B_COLUMNS = (("sentence1",), ("sentence2",), ("score", "label"))
