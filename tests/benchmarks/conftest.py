"""The memory column below pytest-benchmark's table, which shows times only."""


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    noted = [b for b in getattr(session, "benchmarks", ()) if "peak_bytes" in b.extra_info]
    if noted:
        terminalreporter.write_line("peak memory of one call, in MiB")
    for benchmark in noted:
        terminalreporter.write_line(f"{benchmark.name:<70} {benchmark.extra_info['peak_bytes'] / 2**20:10.3f}")
