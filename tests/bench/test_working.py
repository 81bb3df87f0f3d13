"""The progress shown while a few long items are worked on."""

from gradbench.bench.working import Working


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_off_a_terminal_a_line_is_said_at_most_every_ten_seconds(capsys):
    clock = Clock()
    with Working("predicting", 2, clock) as working:
        for clock.now, part in ((1.0, "a"), (9.9, "b"), (10.0, "c"), (19.0, "d"), (75.0, "e")):
            if clock.now == 1.0:
                working.item("checkpoint")
            working.part(part)
    assert capsys.readouterr().err.splitlines() == [
        "predicting checkpoint (1 of 2): c, after 10 s",
        "predicting checkpoint (1 of 2): e, after 1 min 15 s",
    ]


def test_what_is_done_at_once_says_nothing(capsys):
    with Working("predicting", 1) as working:
        working.item("checkpoint")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_live_line_goes_when_it_ends(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Working("predicting", 1) as working:
        working.item("checkpoint")
        assert working._live.tasks[0].description == "predicting checkpoint (1 of 1)"
    assert working._live.finished is not None and capsys.readouterr().out == ""
