"""Which devices settings ask for, and settings that contradict each other."""

import dataclasses

import pytest
import tensorflow as tf

from bert_tf.settings import PretrainingSettings, TrainingSettings
from bert_tf.settings.devices import DeviceSettings
from bert_tf.training import devices


@pytest.fixture
def asked(monkeypatch):
    """What a strategy is asked for, in place of making it; `tpu` says whether a TPU answers."""
    calls = []

    def tpu_strategy(settings):
        calls.append(("tpu", settings.tpu_name, settings.tpu_zone))
        if asked.tpu_fails:
            raise ValueError("No TPU answers")
        return "tpu"

    def record(name):
        return lambda *arguments: calls.append((name, *arguments)) or name

    def asked(**settings):
        calls.clear()
        devices._strategy.cache_clear()
        return devices.make_strategy(DeviceSettings(**settings)), list(calls)

    asked.tpu_fails = False
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(devices, "tpu_strategy", tpu_strategy)
    monkeypatch.setattr(tf.distribute, "get_strategy", record("one_device"))
    for name in ("mirrored", "multi_worker"):
        monkeypatch.setattr(devices, f"{name}_strategy", record(name))
    monkeypatch.setattr(devices, "make_virtual_devices", lambda n: ["CPU"] * n)
    monkeypatch.setattr(devices, "limit_gpus", record("limit"))
    yield asked
    devices._strategy.cache_clear()


@pytest.fixture
def gpus(monkeypatch):
    def gpus(count: int) -> None:
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["GPU"] * count)

    return gpus


def test_auto_takes_what_there_is(asked, gpus, monkeypatch):
    gpus(1)
    assert asked() == ("one_device", [("one_device",)])
    gpus(4)
    assert asked()[0] == "mirrored"
    monkeypatch.setattr(devices, "has_tpu", lambda: True)
    assert asked()[0] == "tpu"
    assert asked(num_virtual_devices=2) == ("mirrored", [("mirrored", ["CPU", "CPU"])])
    assert asked(worker_hosts=("a:1", "b:2"), task_index=1)[0] == "multi_worker"
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}}')
    assert asked()[0] == "tpu"  # Whoever is alone in TF_CONFIG needs no other.
    workers = '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"index": 1}}'
    monkeypatch.setenv("TF_CONFIG", workers)
    assert asked()[0] == "multi_worker"


def test_auto_goes_on_without_a_tpu_that_does_not_answer(asked, gpus, caplog):
    gpus(2)
    asked.tpu_fails = True
    strategy, calls = asked(tpu_name="bert", tpu_zone="z")
    assert calls[0] == ("tpu", "bert", "z")
    assert strategy == "mirrored"
    assert "Continuing without a TPU" in caplog.text


def test_what_is_asked_for_by_name_is_not_replaced(asked, gpus):
    asked.tpu_fails = True
    for settings in ({"use_tpu": True}, {"distribution_strategy": "tpu"}):
        with pytest.raises(ValueError, match="No TPU answers"):
            asked(master="grpc://10.0.0.2", **settings)
    gpus(0)
    with pytest.raises(ValueError, match="mirrored uses all GPUs of this machine"):
        asked(distribution_strategy="mirrored")
    with pytest.raises(ValueError, match="multi_worker needs the addresses of all workers"):
        asked(distribution_strategy="multi_worker")
    gpus(4)
    assert asked(distribution_strategy="one_device")[0] == "one_device"
    assert asked(distribution_strategy="mirrored", num_gpus=2)[1][0] == ("limit", 2)


def test_without_gpus_mirrored_takes_the_devices_that_a_program_has_split_its_cpu_into(
    asked, gpus, monkeypatch
):
    gpus(0)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind] * 3)
    assert asked(distribution_strategy="mirrored")[1] == [("mirrored", ["CPU:0", "CPU:1", "CPU:2"])]


def test_the_same_devices_are_made_once(asked, gpus):
    gpus(0)
    first = devices.make_strategy(DeviceSettings())
    settings = PretrainingSettings(
        bert_config_file="c", output_dir="o", input_file=("i",), do_train=True
    )
    assert devices.make_strategy(settings) is first


def test_virtual_devices_come_too_late_once_tensorflow_has_started():
    tf.constant(1)
    with pytest.raises(ValueError, match="--num_virtual_devices=7 comes too late"):
        devices.make_virtual_devices(7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distribution_strategy": "all"}, "'auto', 'one_device', 'mirrored'"),
        ({"use_tpu": True, "distribution_strategy": "mirrored"}, "--use_tpu is"),
        ({"use_tpu": True, "num_virtual_devices": 2}, "is for --distribution_strategy=mirrored"),
        ({"worker_hosts": ("a:1", "b:2")}, "--task_index is this process's place"),
        ({"worker_hosts": ("a:1", "b:2"), "task_index": 2}, "from 0, and both are needed"),
        ({"task_index": 0}, "both are needed"),
        ({"worker_hosts": ("a", "b:2"), "task_index": 0}, "takes host:port of each"),
        ({"worker_hosts": ("a:1", "a:1"), "task_index": 0}, "each once"),
        ({"worker_hosts": ("a:1",), "task_index": 0, "use_tpu": True}, "are for --distribution"),
        ({"worker_timeout": 0}, "--worker_timeout must be a whole number of at least 1"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DeviceSettings(**settings)


def test_a_run_may_go_on_with_other_devices():
    assert {
        field.name for field in dataclasses.fields(DeviceSettings)
    } <= TrainingSettings.MAY_CHANGE


@pytest.mark.parametrize(
    ("flags", "is_faster"), [("sse4_2 avx2 fma", False), ("avx512f avx512_bf16", True)]
)
def test_bfloat16_is_faster_on_a_cpu_that_has_instructions_for_it(
    flags, is_faster, tmp_path, monkeypatch
):
    (tmp_path / "cpuinfo").write_text(f"model name\t: a CPU\nflags\t\t: fpu {flags}\n")
    known = devices._cpu_flags(str(tmp_path / "cpuinfo"))
    monkeypatch.setattr(devices, "_cpu_flags", lambda: known)
    assert devices.is_faster_in_bfloat16(tf.distribute.get_strategy()) == is_faster


def test_a_system_that_lists_no_instruction_sets_has_none(tmp_path):
    assert devices._cpu_flags(str(tmp_path / "none")) == []
