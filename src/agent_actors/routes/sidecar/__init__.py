"""What a sidecar calls: actors, subscriptions and input bindings."""
