"""Repositories of the Hugging Face hub and of GitHub at one commit: in the cache of this machine, within reach, fetched, by hand."""

from limo.hub.file import RemoteFile
from limo.hub.remote import Downloaded, Remote, origins
from limo.hub.snapshot import CARD, Snapshot

__all__ = ["CARD", "Downloaded", "Remote", "RemoteFile", "Snapshot", "origins"]
