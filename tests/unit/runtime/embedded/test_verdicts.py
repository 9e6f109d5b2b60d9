import pytest

from agent_actors.runtime import DeliveryResponse
from agent_actors.runtime.embedded.verdicts import judge


@pytest.mark.parametrize(
    ("status", "body", "end"),
    [
        (200, b"", "done"),
        (204, b"", "done"),
        (200, b"fine", "done"),
        (200, b"[]", "done"),
        (200, b"{}", "done"),
        (200, b'{"status":null}', "done"),
        (200, b'{"status":""}', "done"),
        (201, b'{"status":"SUCCESS"}', "done"),
        (200, b'{"status":"RETRY"}', "retry"),
        (200, b'{"status":"success"}', "retry"),
        (200, b'{"status":"Event processed"}', "retry"),
        (200, b'{"status":7}', "done"),
        (200, b'{"status":"DROP"}', "drop"),
        (404, b'{"status":"SUCCESS"}', "drop"),
        (500, b"", "retry"),
        (429, b"", "retry"),
        (302, b"", "retry"),
    ],
)
def test_answers_mean_what_they_mean_to_daprd(status: int, body: bytes, end: str):
    """Silence and SUCCESS settle an event, DROP and 404 end it, everything else is a failure."""
    verdict = judge("/route", DeliveryResponse(status, body))

    assert verdict.end == end
    assert "Event processed" not in verdict.reason
