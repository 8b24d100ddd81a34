"""`_pyodide_entrypoint_helper`: there for code that imports it. (pure)"""
