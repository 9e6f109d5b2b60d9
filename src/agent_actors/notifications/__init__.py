"""Notifications by SMS: which turns cause one, and the sending."""
