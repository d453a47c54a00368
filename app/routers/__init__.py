"""HTTP, one file per noun. A handler unwraps the request, makes one call, and wraps the answer."""
