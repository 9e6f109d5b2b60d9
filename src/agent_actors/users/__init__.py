"""What belongs to a user over all conversations: memory, sessions, analytics."""
