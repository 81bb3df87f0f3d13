"""A failure in one line, as written in a row."""


def line_of(failure: BaseException, where: str = "") -> str:
    """The type and the text of an exception, cut at 400 characters. where: appended in brackets."""
    text = " ".join(str(failure).split())
    return f"{type(failure).__name__}: {text[:400]}" + (f" ({where})" if where else "")
