"""Names for the shapes that every module passes around.

Objects are plain JSON dicts. A dict that has reached the store is never changed in place again.
"""

from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]
"""(namespace, name); the namespace of a cluster-scoped object is the empty string."""
