"""The contract between actors, clients and topics: ids, messages, interfaces and events."""
