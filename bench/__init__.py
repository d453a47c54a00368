"""How fast CMP's hot paths are, measured side by side with the least that could do the same. See README.md."""
