"""Who trains together, from flags or from TF_CONFIG."""

import json

import pytest

from bert_tf.settings.devices import DeviceSettings
from bert_tf.training.cluster import Cluster, find_cluster


@pytest.fixture
def set_config(monkeypatch):
    def set_config(text) -> None:
        monkeypatch.setenv("TF_CONFIG", text if isinstance(text, str) else json.dumps(text))

    return set_config


def test_flags_name_the_workers_in_their_order(set_config):
    set_config("not looked at")
    settings = DeviceSettings(worker_hosts=("a:1", "b:2", "c:3"), task_index=2)
    assert find_cluster(settings) == Cluster(("a:1", "b:2", "c:3"), 2)


def test_a_chief_is_the_first_worker(set_config):
    jobs = {"worker": ["b:2", "c:3"], "chief": ["a:1"], "ps": ["d:4"]}
    set_config({"cluster": jobs, "task": {"type": "worker", "index": 1}})
    assert find_cluster(DeviceSettings()) == Cluster(("a:1", "b:2", "c:3"), 2)
    set_config({"cluster": jobs, "task": {"type": "chief", "index": "0"}})
    assert find_cluster(DeviceSettings()).index == 0


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {}}'])
def test_without_workers_there_is_no_cluster(set_config, text):
    set_config(text)
    assert find_cluster(DeviceSettings()) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting"),
        ("[]", "no attribute"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps"}}', "no ps 0 among"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"index": 1}}', "no worker 1 among"),
        ('{"cluster": {"worker": "a:1"}}', "addresses of worker are no list"),
        ('{"cluster": {"worker": {"a:1": 0}}}', "addresses of worker are no list"),
        (
            '{"cluster": {"worker": ["a:1", "a:65536"]}}',
            "an address is host:port .*, not 'a:65536'",
        ),
        ('{"cluster": {"worker": ["a:0", "a:1"]}}', "an address is host:port .*, not 'a:0'"),
        ('{"cluster": {"worker": ["a"]}}', "host:port .*, not 'a'"),
        ('{"cluster": {"worker": [5]}}', "host:port .*, not 5"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"index": 0}}', "twice"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "which of them this process is"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 1.7}}', "not 1.7"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"index": true}}', "not True"),
    ],
)
def test_a_broken_configuration_is_refused_with_an_example(set_config, text, reason):
    set_config(text)
    with pytest.raises(ValueError, match=rf"TF_CONFIG cannot be used: .*{reason}.*Received: "):
        find_cluster(DeviceSettings())
