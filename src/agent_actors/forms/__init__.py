"""Small text formats: URLs, durations, lines, phone numbers."""
