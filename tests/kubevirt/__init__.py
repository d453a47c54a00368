"""On a real KubeVirt: CMP through its HTTP API only, virtual machines that boot."""
