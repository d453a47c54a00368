"""CMP's node agent: a program of its own, one on each node, that suspends containers there by freezing their Pods.

Standard library only, so that what runs with access to a node's cgroups is little and read in an hour.
"""
