"""Blobs in this process's memory."""

from collections.abc import Iterable, Mapping, Sequence

from lash_es.log.blobs import Address, Blob, KeptBlob


class MemoryBlobs:
    """A table of blobs: content and token by address."""

    def __init__(self) -> None:
        self._kept: dict[Address, tuple[bytes, int]] = {}

    def write(self, blobs: Iterable[Blob], at_ms: int) -> None:
        """Keep blobs; one that is there already gets a new token."""
        for blob in blobs:
            content, token = self._kept.get(blob.address, (blob.content, at_ms - 1))
            self._kept[blob.address] = (content, max(token + 1, at_ms))

    def read(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs."""
        return {each: self._kept[each][0] for each in addresses if each in self._kept}

    def page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """List blobs, ordered by address."""
        addresses = sorted(address for address in self._kept if address > after)[:blobs_max]
        tokens = ((address, self._kept[address][1]) for address in addresses)
        return tuple(KeptBlob(address=each, token=token, at_ms=token) for each, token in tokens)

    def delete(self, kept: Sequence[KeptBlob]) -> int:
        """Delete blobs whose token is unchanged."""
        unchanged = {
            each.address
            for each in kept
            if each.address in self._kept and self._kept[each.address][1] == each.token
        }
        for address in unchanged:
            del self._kept[address]
        return len(unchanged)
