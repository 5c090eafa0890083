"""Parts of pages that a command writes, between two marks."""


def between(text: str, start: str, made: str, end: str) -> str:
    """A page with what stands between the marks replaced."""
    before, rest = text.split(start)
    return before + start + made + end + rest.split(end)[1]
