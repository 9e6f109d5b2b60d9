"""Dapr's component files, as far as the embedded runtime reads them."""
