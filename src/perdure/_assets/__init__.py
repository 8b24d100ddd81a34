"""Files that are served as they are: which file answers a path, and how."""
