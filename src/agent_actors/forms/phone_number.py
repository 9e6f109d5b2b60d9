"""Phone numbers in the format of E.164."""

import re

NUMBER_FORM = r"\+[1-9][0-9]{7,14}"
"""A number with its country code."""

_NUMBER = re.compile(NUMBER_FORM, re.ASCII)
_ENDING = 3


def is_number(text: str) -> bool:
    """Is it a phone number?"""
    return _NUMBER.fullmatch(text) is not None


def ending(number: str) -> str:
    """The last digits of a number: enough for its owner to recognise, and for nobody else."""
    return number[-_ENDING:]
