"""Cap'n Web: JSON text to messages and expressions, expressions to Python values, and back."""
