"""Starts google-research's create_pretraining_data.py with --help and with a wrong flag."""

from reporting import report_versions
from starting import time_starts

time_starts({"create_pretraining_data": ["-m", "bert.create_pretraining_data"]})
report_versions("bert-tensorflow", "tensorflow")
