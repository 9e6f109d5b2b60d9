"""Time in the embedded runtime: reminders, timers and when they are due."""
