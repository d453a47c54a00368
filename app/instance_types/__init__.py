"""One file per kind of instance: what it looks like in Kubernetes and what its state means. Pure: dicts in, values out.

A new kind is a value in `models.InstanceType`, a file here and a line in `k8s_service.INSTANCE_TYPES`.
"""
