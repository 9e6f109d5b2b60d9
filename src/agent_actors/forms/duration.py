"""Durations in the formats of Dapr: Go's, `1h30m`, and ISO 8601's, `PT1H30M`."""

import re

_GO = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_GO_PART = r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|us|µs|μs|ns|s)"
_GO_FORM = re.compile(f"(?:{_GO_PART})+", re.ASCII)
_ISO_FORM = re.compile(
    r"P(?=\d|T\d)(?:(?P<W>\d+)W)?(?:(?P<D>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<H>\d+)H)?(?:(?P<M>\d+)M)?(?:(?P<S>\d+)S)?)?",
    re.ASCII,
)
_ISO = {"W": 604_800.0, "D": 86_400.0, "H": 3600.0, "M": 60.0, "S": 1.0}
LONGEST = 9_223_372_036.0
"""The longest duration in Go, in seconds: 292 years."""


def seconds(text: str) -> float:
    """Parses a duration.

    Args:
        text: `1h30m`, `250ms`, `PT1H30M`, `P1D`, `P2W` or `0`. Years and months are not supported:
            their length depends on the date.

    Raises:
        ValueError: It is not a duration, or longer than 292 years.
    """
    length = _length(text)
    if length > LONGEST:
        msg = f"{text!r} is longer than 292 years"
        raise ValueError(msg)
    return length


def _length(text: str) -> float:
    if text == "0":
        return 0.0
    if _GO_FORM.fullmatch(text):
        return sum(float(number) * _GO[unit] for number, unit in re.findall(_GO_PART, text))
    iso = _ISO_FORM.fullmatch(text)
    if iso is None:
        msg = f"{text!r} is not a duration such as '1h30m' or 'PT1H30M'"
        raise ValueError(msg)
    return sum(float(number) * _ISO[unit] for unit, number in iso.groupdict().items() if number)
