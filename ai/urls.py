"""URLs of model servers: how a spec names one, and whether others could read the traffic to it."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from ai.errors import ContractError

_NO_URL: Final = "the URL of an {}: model must start with http:// or https:// and name a host"
_WITH_URL: Final = re.compile(r"(.*?)@(https?)(:.*)", re.IGNORECASE | re.DOTALL)
_LIKE_A_HOST: Final = re.compile(
    r"(localhost|\[.*|[\w-]+(\.[\w-]+)+|[\w.-]+:\d+)(:\d+)?(/.*)?|\w+://.*|(?!default$|latest$)[a-z][\w-]*",
    re.IGNORECASE,
)


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    with suppress(ValueError):
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return "", None, None


def is_private(url: str) -> bool:
    """Return whether the traffic is unreadable between the two ends: over TLS, or to this machine."""
    scheme, host, _ = origin_of(url)
    if scheme == "https" or host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host or "").is_loopback
    return False


def checked_url(url: str, scheme: str) -> str:
    """Return the URL without a trailing slash.

    Raises:
        ContractError: it is not a plain http or https URL, or could carry a secret; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ContractError(_NO_URL.format(scheme))
    if parts.username is not None or parts.query or parts.fragment:
        told = "takes no user, key, query or fragment; keys come from the environment"
        raise ContractError(f"the URL of an {scheme}: model {told}")
    return url.rstrip("/")


def model_and_url(rest: str, scheme: str) -> tuple[str, str | None]:
    """Split `MODEL[@URL]`, the part of a spec after its scheme; a model's name may hold an @ itself.

    Raises:
        ContractError: no model, or a URL that is none; the message does not repeat it, since it may hold a secret.
    """
    match = _WITH_URL.fullmatch(rest)
    model = match[1] if match else rest
    if not model.strip():
        raise ContractError(f"the model's name is missing; write {scheme}:MODEL or {scheme}:MODEL@URL")
    if match:
        return model, checked_url(match[2].lower() + match[3], scheme)
    if _LIKE_A_HOST.fullmatch(model.rpartition("@")[2]) and "@" in model:
        raise ContractError(_NO_URL.format(scheme))
    return model, None


def public_name(model: str) -> str:
    """Return the model's name without a path; a name like `org/model` is not a path and stays."""
    looks_like_path = model.lower().endswith(".gguf") or re.match(r"[/\\~.]|[A-Za-z]:[/\\]", model)
    return re.split(r"[/\\]", model)[-1] if looks_like_path else model
