"""AI agents as Dapr virtual actors."""
