"""Untrusted text, made safe for a terminal."""


def one_line(text: str, longest: int) -> str:
    """The text as one line of at most `longest` characters, without control characters.

    Characters that change how the rest is displayed (direction marks, zero width) are removed, too.
    """
    kept = "".join(each for each in text if each.isprintable() or each.isspace())
    plain = " ".join(kept.split())
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
