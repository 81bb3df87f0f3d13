"""What nvidia-smi reports of cards, read from its output."""

import os

import pytest

from gradbench.measure import nvidia

CARDS = """\
0, GPU-aaaa1111, NVIDIA H100 80GB HBM3, 570.86.15, 345, 4, 81559
1, GPU-bbbb2222, NVIDIA H100 80GB HBM3, 570.86.15, 1980, 40213, 81559
2, GPU-cccc3333, Some Card, 535.10, [N/A], [N/A], [N/A]
"""
PROCESSES = "GPU-bbbb2222, 4242\nGPU-bbbb2222, 4243\n"


def query(arguments):
    return CARDS if arguments[0].startswith("--query-gpu") else PROCESSES


def test_a_card_is_told_as_it_was_before_its_cell():
    assert nvidia.idle("0", query) == {
        "gpu": "NVIDIA H100 80GB HBM3",
        "gpu_driver": "570.86.15",
        "gpu_clock_mhz": 345.0,
        "gpu_total_bytes": 81559 * 2**20,
        "gpu_used_bytes": 4 * 2**20,
        "gpu_processes": 0,
    }


def test_other_processes_on_a_card_are_counted():
    assert nvidia.idle("1", query)["gpu_processes"] == 2


def test_a_card_may_be_named_by_the_beginning_of_its_uuid():
    assert nvidia.idle("GPU-bbbb", query)["gpu_used_bytes"] == 40213 * 2**20


def test_what_the_driver_does_not_say_is_none():
    found = nvidia.idle("2", query)
    assert (found["gpu_clock_mhz"], found["gpu_used_bytes"], found["gpu_total_bytes"]) == (None, None, None)


def test_no_driver_tells_nothing():
    assert nvidia.idle("0", lambda arguments: "") == {} and nvidia.cards(lambda arguments: "") == []


def test_a_missing_or_failing_program_tells_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia.ask(["-L"]) == ""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    program.chmod(0o755)
    assert nvidia.ask(["-L"]) == ""


@pytest.mark.parametrize(("given", "found"), [("1", ["1"]), ("", []), (" 2, GPU-aaaa ", ["2", "GPU-aaaa"])])
def test_the_cards_that_are_visible_are_those_that_the_variable_names(monkeypatch, given, found):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert nvidia.visible(query) == found


def test_all_cards_are_visible_without_it(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert nvidia.visible(query) == ["0", "1", "2"]


def test_a_process_that_opened_the_device_has_a_context(monkeypatch, tmp_path):
    assert not nvidia.context_in_this_process()
    device = tmp_path / "nvidia-uvm"
    device.touch()
    monkeypatch.setattr(nvidia, "UVM", str(device))
    descriptor = os.open(device, os.O_RDONLY)
    try:
        assert nvidia.context_in_this_process()
    finally:
        os.close(descriptor)


def test_where_nothing_is_told_of_open_files_a_context_is_assumed(monkeypatch, tmp_path):
    monkeypatch.setattr(nvidia, "DESCRIPTORS", str(tmp_path / "none"))
    assert nvidia.context_in_this_process()
