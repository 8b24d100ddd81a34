"""WebSockets: two ends, what each has heard and said, and who hears it. (pure)"""
