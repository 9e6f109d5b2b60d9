"""A caller's `Prefer` header (RFC 7240): how long it will wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preferences:
    """What of the header we honour; unknown or broken preferences are ignored, as the RFC says."""

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
        """Seconds to wait for the reply: the caller's, but never more than the setting's."""
        if self.respond_async:
            return 0.0
        return wait_time if self.wait is None else min(float(self.wait), wait_time)

    def applied(self, wait_time: float) -> str:
        """The `Preference-Applied` header; empty if nothing was preferred."""
        if self.respond_async:
            return "respond-async"
        return "" if self.wait is None else f"wait={self.patience(wait_time):g}"
