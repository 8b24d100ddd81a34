"""What the engine tells, for people and machines."""
