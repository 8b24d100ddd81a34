"""Requests, responses, headers and bodies: the parts that `perdure.web` makes public."""
