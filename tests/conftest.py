"""Real servers for whoever asks for them; see testbed/fixtures.py."""

pytest_plugins = ["testbed.fixtures"]
