"""The CMP server: API, reconciler and the rooms they stand on. docs/map.md is the floor plan."""
