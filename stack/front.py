"""What nginx is told, before API processes that it speaks TLS with; on loopback, for the stack alone."""

from collections.abc import Sequence
from pathlib import Path

_SITE = """
map $http_upgrade $connection_wanted {{ default upgrade; "" ""; }}
upstream cmp {{ {servers} keepalive 32; }}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass https://cmp;
        proxy_ssl_name localhost;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {authority};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection $connection_wanted;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_read_timeout 330s;
    }}
}}
"""


def site(port: int, upstreams: Sequence[int], authority: Path) -> str:
    """`authority`: PEM, of who signed what the processes show."""
    servers = " ".join(f"server 127.0.0.1:{upstream};" for upstream in upstreams)
    return _SITE.format(servers=servers, port=port, authority=authority)
