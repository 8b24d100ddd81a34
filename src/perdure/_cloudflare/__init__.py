"""What projects that were written for Cloudflare's Python Workers import, in terms of Perdure's own names."""
