"""What stands in front of every route: limits, access, errors, shared parameters."""
