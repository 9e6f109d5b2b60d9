"""Text that somebody else has written, as a terminal may have it."""


def one_line(text: str, longest: int) -> str:
    """The text in one line of at most so many characters, without what controls a terminal.

    Nor has it what changes how the rest is read: marks of direction, characters of no width.
    """
    kept = "".join(each for each in text if each.isprintable() or each.isspace())
    plain = " ".join(kept.split())
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
