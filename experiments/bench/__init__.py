"""The sweep engine timed beside what a reader would use instead."""
