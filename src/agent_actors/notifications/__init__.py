"""Notifications by SMS: which turns a user is told of, and the sending."""
