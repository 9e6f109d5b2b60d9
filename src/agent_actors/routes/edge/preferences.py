"""The `Prefer` header (RFC 7240): how long the caller waits for a reply."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences that we honour; others are ignored, as the RFC demands."""

    wait: int | None = None
    respond_async: bool = False

    @classmethod
    def read(cls, header: str | None) -> "Preferences":
        """The preferences of a header."""
        wait, respond_async = None, False
        for part in (header or "").split(","):
            name, _, value = part.partition(";")[0].strip().partition("=")
            value = value.strip().strip('"')
            if name.strip().lower() == "respond-async":
                respond_async = True
            elif name.strip().lower() == "wait" and value.isascii() and value.isdigit():
                wait = wait if wait is not None else int(value[:9])
        return cls(wait, respond_async)

    def patience(self, wait_time: float) -> float:
        """Seconds to wait for the reply: what the caller prefers, but at most `wait_time`."""
        if self.respond_async:
            return 0.0
        return wait_time if self.wait is None else min(float(self.wait), wait_time)

    def applied(self, wait_time: float) -> str:
        """The `Preference-Applied` header; empty if there were no preferences."""
        if self.respond_async:
            return "respond-async"
        return "" if self.wait is None else f"wait={self.patience(wait_time):g}"
