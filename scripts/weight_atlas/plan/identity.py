"""Names that say what a thing is: a readable slug and a hash over what changes the result."""

import hashlib
import json
import re
from typing import Any


def digest(payload: Any, length: int = 10) -> str:
    """The first `length` hex digits of the SHA-256 of `payload` as canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def slug(*words: str) -> str:
    """The words in lower case, joined by hyphens, with nothing that a path or a shell could stumble over."""
    return "-".join(re.sub(r"[^a-z0-9_.]+", "-", word.lower()).strip("-.") for word in words)
