"""Decisions that write, one file per noun: they record the wish and never touch Kubernetes.

Each takes a session and leaves the commit to its caller, so that one request is one transaction.
"""
