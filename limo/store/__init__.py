"""Content-addressed results of stages, and the digests of what is in them."""

from limo.store.digests import Digests, content_digest
from limo.store.store import MANIFEST, OF_THE_MAKING, Store, fault, key_of

__all__ = ["MANIFEST", "OF_THE_MAKING", "Digests", "Store", "content_digest", "fault", "key_of"]
