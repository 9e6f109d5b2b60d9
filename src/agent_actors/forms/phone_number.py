"""What an SMS says, and to which numbers one can be sent."""

import re

NUMBER_FORM = r"\+[1-9][0-9]{7,14}"
"""Numbers as E.164 writes them, with the country's code."""

_NUMBER = re.compile(NUMBER_FORM, re.ASCII)
_ENDING = 3


def is_number(text: str) -> bool:
    """Can an SMS be sent to it?"""
    return _NUMBER.fullmatch(text) is not None


def ending(number: str) -> str:
    """The last digits of a number: enough for whom it belongs to, and nobody else."""
    return number[-_ENDING:]
