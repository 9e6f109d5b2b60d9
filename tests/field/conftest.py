"""A model whose server answers in a vendor's dialect."""

from tests.unit.model.agents_sdk.conftest import clock, ready, vendor

__all__ = ["clock", "ready", "vendor"]
