"""Content-addressed results of stages, and the digests of what is in them."""

from limo.store.digests import Digests, content_digest
from limo.store.store import MANIFEST, Store, fault, key_of

__all__ = ["MANIFEST", "Digests", "Store", "content_digest", "fault", "key_of"]
