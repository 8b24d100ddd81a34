"""`_cloudflare_compat_flags`: the project's compatibility flags as attributes, by `get_compat_flag`'s rule. (pure)"""
