"""What `js` gives, one thing or kind of things a module. (cooperative)"""
