"""The oracle: what the real workerd answers to the same calls, replayed on a real server of ours."""
