import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradbench.selector import expand, parse, render

WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda w: w not in ("none", "true", "false", "inf", "nan")
)
VALUES = st.one_of(st.integers(-99, 99), st.booleans(), st.none(), WORDS, st.floats(0.01, 99, allow_nan=False))


@given(st.from_regex(r"[a-z][a-z0-9+\-]{0,8}", fullmatch=True), st.dictionaries(WORDS, VALUES, max_size=3))
def test_parse_reads_what_render_writes(name, options):
    assert parse(render(name, options)) == (name, options)


def test_an_option_may_be_a_selector():
    assert parse("gaussian[schedule=vp-linear[beta_1=10],dim=2]")[1] == {"schedule": "vp-linear[beta_1=10]", "dim": 2}


def test_lists_are_multiplied_out():
    assert expand("a[b=[1,2],c=x]") == [("a", {"b": 1, "c": "x"}), ("a", {"b": 2, "c": "x"})]


@pytest.mark.parametrize("text", ["", "a[", "a]", "a[b]", "a[b=]", "a[=1]", "a[b=[]]", "a[b=1]]", "[b=1]", "a b"])
def test_a_malformed_selector_is_named_with_the_grammar(text):
    with pytest.raises(ValueError, match="malformed selector .*name\\[option=value\\]"):
        parse(text)


def test_an_option_given_twice_is_refused():
    with pytest.raises(ValueError, match="gives b twice: write b="):
        parse("a[b=1,b=2]")
