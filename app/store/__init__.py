"""Every SQL statement of the house, one file per noun.

Functions take the viewer first and see only what is theirs; what is not so scoped is spelled `all_…` and is for
administrators' routes and the reconciler. Nothing here decides or commits.
"""
