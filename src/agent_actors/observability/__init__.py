"""What the process says about itself: traces, metrics and logs."""
