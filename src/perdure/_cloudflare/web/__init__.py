"""The web as Cloudflare's projects see it: requests, responses, forms, streams, URLs in JavaScript's shape. (cooperative)

The classes here are those of the module `js`; the Python SDK's own (`workers.Request` and so on) are built on them.
Each is a view of perdure's own object, `_native`.
"""
