"""The node agent as a program of its own: its rights, and what it does to processes."""
