"""On a real node: first the node itself, then CMP on it, through its HTTP API only."""
