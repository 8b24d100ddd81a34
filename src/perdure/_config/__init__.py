"""Configuration: files in, a checked Project out."""
