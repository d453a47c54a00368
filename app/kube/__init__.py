"""The only room that speaks to the Kubernetes API: credentials, one HTTP client, and caches kept by list and watch.

It knows kinds and paths, not what CMP makes of them.
"""
