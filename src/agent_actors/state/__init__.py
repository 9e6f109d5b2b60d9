"""Where actors keep their state: documents, the store, and reads without a turn."""
