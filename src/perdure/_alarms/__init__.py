"""Alarms: what is due when, and what becomes of a run. Knows neither objects nor storage."""
