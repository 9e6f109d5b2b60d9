"""Durations in the forms that Dapr reads."""

import pytest

from agent_actors.forms.duration import seconds


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", 0),
        ("250ms", 0.25),
        ("1h30m", 5_400),
        (".5h", 1_800),
        ("1.5s", 1.5),
        ("3\u00b5s", 3e-6),
        ("0h1m0s0ms0\u03bcs", 60),
        ("PT1H30M", 5_400),
        ("P1D", 86_400),
        ("P2W", 1_209_600),
        ("P1W1DT1S", 691_201),
    ],
)
def test_forms_of_go_and_of_iso_8601_are_read(text: str, length: float):
    """What Dapr takes for a duration is one."""
    assert seconds(text) == pytest.approx(length)


@pytest.mark.parametrize(
    "text",
    ["", "5", "soon", "-1s", "1d", "1H", "pt1h", " 1s", "1s\n", "P", "PT", "PT1.5S", "P1Y", "P1M",
     "R2/PT1S", "\u0663s", "PT\u0663S"],
)  # fmt: skip
def test_other_forms_are_refused(text: str):
    """The text is named in the error."""
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@pytest.mark.parametrize("text", ["2562048h", "9" * 400 + "s", "P" + "9" * 400 + "D"])
def test_what_go_cannot_say_is_refused(text: str):
    """No duration is longer than 292 years, so none overflows anything."""
    with pytest.raises(ValueError, match="longer than 292 years"):
        seconds(text)
