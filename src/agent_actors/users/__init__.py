"""What belongs to a user across all conversations: memory, sessions, analytics."""
