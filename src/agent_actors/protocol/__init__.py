"""What actors, clients and topics agree on: ids, messages, interfaces, events and clients."""
