"""Tests the table of hardware, and the measurement of this machine."""

import numpy as np
import pytest

from bert_tf.planning.hardware import CPU_EFFICIENCY, HARDWARE, find_hardware, measure_cpu


def test_the_table_has_every_generation_and_a_source_for_every_value():
    names = [hardware.name for hardware in HARDWARE]
    tpus = ["tpu_v2", "tpu_v3", "tpu_v4", "tpu_v5e", "tpu_v5p", "tpu_v6e"]
    assert names == [*tpus, "v100", "a100", "h100", "h200"]
    for hardware in HARDWARE:
        assert hardware.source
        assert "" in hardware.rates
        for rate in hardware.rates.values():
            assert rate.source
            assert 0 < rate.efficiency < 1
            assert 1e13 < rate.peak < 1e15


def test_names_are_found_however_they_are_written():
    assert find_hardware("TPU-v5e").rate("bfloat16").peak == 197e12
    with pytest.raises(ValueError, match="cpu"):
        find_hardware("gpu")


def test_half_precision_is_faster_where_products_are():
    for name in ("v100", "a100", "h100", "h200"):
        rates = find_hardware(name).rates
        assert rates["float16"].peak * rates["float16"].efficiency > 1.5 * (
            rates[""].peak * rates[""].efficiency
        )


def test_the_processor_is_measured():
    cpu = measure_cpu(repeats=1)
    rate = cpu.rate("")
    assert 1e8 < rate.peak < 1e14
    assert 1e7 < cpu.bandwidth < 1e13
    assert cpu.memory_bytes > 1e8
    assert rate.efficiency == CPU_EFFICIENCY


def test_a_given_rate_is_not_measured(monkeypatch):
    monkeypatch.setattr(np, "matmul", None)
    assert measure_cpu(peak=5e10, repeats=1).rate("").peak == 5e10
