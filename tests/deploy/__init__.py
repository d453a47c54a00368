"""How CMP is deployed: what deploy/ holds, with the real programs that read it."""
