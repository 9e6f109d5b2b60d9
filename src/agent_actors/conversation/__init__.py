"""A conversation: ChatAgent, ResponseAgent, and the turns they carry together."""
