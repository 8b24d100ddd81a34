"""What operators do to a running runtime, and the local socket by which they ask for it."""
