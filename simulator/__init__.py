"""A stand-in for a Kubernetes API server with KubeVirt, over real HTTP: for development and for injecting faults.

Start it with `python -m simulator`, or inside a test with `async with simulator.serve() as sim`. It shares no code with
the platform, and is never the proof that something works on Kubernetes.
"""

from simulator.cluster import Simulator, serve
from simulator.settings import NodeShape, Settings

__all__ = ["NodeShape", "Settings", "Simulator", "serve"]
