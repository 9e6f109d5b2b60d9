"""Dead letters: events that could not be applied, kept until somebody decides."""
