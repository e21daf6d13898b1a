"""The address of a client, seen through trusted proxies."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

NETWORK_BITS = 64
"""The prefix of an IPv6 address that identifies a client, who can change the rest at any time."""
MAX_FORWARDED = 512
"""Characters at the end of X-Forwarded-For: enough for nine proxies with the longest addresses."""
WITH_PORT = re.compile(r"\[([^]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
"""How some proxies write an address: `[2001:db8::1]:443`, `192.0.2.1:443`."""


def client_address(request: HttpRequest) -> str | None:
    """The address that the outermost trusted proxy saw; None if it wrote no address.

    Each proxy appends the address of its caller to X-Forwarded-For. Entries to the left of those
    from the trusted proxies come from the client and cannot be trusted.
    """
    proxies = settings.TRUSTED_PROXIES
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")[-MAX_FORWARDED:] if proxies else ""
    return _address(forwarded, request.META.get("REMOTE_ADDR", ""), proxies)


@lru_cache(maxsize=1024)
def _address(forwarded: str, caller: str, proxies: int) -> str | None:
    hops = [caller] if not proxies else forwarded.rsplit(",", proxies)[-proxies:]
    text = (hops[0] or caller).strip()
    if with_port := WITH_PORT.fullmatch(text):
        text = with_port[1] or with_port[2] or ""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address, NETWORK_BITS), strict=False).network_address)
    return str(address)
