"""The embedded runtime's data folder and its SQLite database."""
