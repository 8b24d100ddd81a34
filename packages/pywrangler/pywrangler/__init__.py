"""The name `pywrangler` for Perdure's own command; all of it is `perdure._cli.pywrangler`."""
