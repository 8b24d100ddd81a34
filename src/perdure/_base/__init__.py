"""Ground: what every layer may use."""
