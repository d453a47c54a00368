"""The contract of a Kubernetes API, checked on the simulator and on the real one."""
