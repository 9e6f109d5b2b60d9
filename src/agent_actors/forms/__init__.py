"""Small text forms that several parts read: URLs, durations, lines, phone numbers."""
