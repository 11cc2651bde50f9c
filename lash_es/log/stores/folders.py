"""Where blobs can lie in a folder; a platform without POSIX has only the table."""

from os import PathLike

from lash_es.log.errors import StoreUnavailable
from lash_es.log.sealed import BlobFolder


def blob_folder(path: str | PathLike[str], *, create: bool = False) -> BlobFolder:
    """
    Open a folder of blobs.

    Raises:
        StoreUnavailable: there is none, or it cannot be made, or files cannot be locked here.
    """
    try:
        from lash_es.log.stores.directory_blobs import DirectoryBlobs  # noqa: PLC0415
    except ModuleNotFoundError as cause:
        reason = f"a folder of blobs needs {cause.name}: keep them in the store's table"
        raise StoreUnavailable(where=str(path), reason=reason) from None
    return DirectoryBlobs.open(path, create=create)
