"""What is said to a session, and the request of a turn, on the wire."""

import base64
from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.core.messages import (
    ImageItem,
    InputItem,
    TextItem,
    TurnInput,
)
from lash_es.remote.constraints import (
    PROTOCOL_VERSION,
    Blob,
    Json,
    JsonFields,
    Name,
    ProtocolVersion,
)
from lash_es.remote.converting import tagged
from lash_es.remote.errors import NonRemoteSafeTurnInput

DEFAULT_MEDIA_TYPE: Final = "image/png"


@tagged("text")
@frozen(kw_only=True)
class RemoteTextItem:
    """A piece of text."""

    text: str


@tagged("image_ref")
@frozen(kw_only=True)
class RemoteImageRef:
    """An image, by its name among the blobs."""

    id: Name
    media_type: str = DEFAULT_MEDIA_TYPE


RemoteInputItem: TypeAlias = RemoteTextItem | RemoteImageRef


@frozen(kw_only=True)
class RemoteTurnInput:
    """
    What is said. Options, trace id and prompt layer are carried for runtimes that have them; this
    one takes no input that has.
    """

    protocol_version: ProtocolVersion
    items: tuple[RemoteInputItem, ...]
    image_blobs_base64: Mapping[str, Blob]
    protocol_turn_options: Json = None
    trace_turn_id: Name | None = None
    prompt_layer: Json = None


@frozen(kw_only=True)
class RemoteToolGrant:
    """A tool that a client lends to a turn, and the path it is called by."""

    id: Name
    binding: Name


@frozen(kw_only=True)
class RemoteTurnRequest:
    """A turn that a client asks for."""

    protocol_version: ProtocolVersion
    session_id: Name
    turn_id: Name
    idempotency_key: Name | None = None
    input: RemoteTurnInput
    tool_grants: tuple[RemoteToolGrant, ...]
    model_intent: Json = None
    metadata: JsonFields


def remote_turn_input(
    turn_input: TurnInput, *, trace_turn_id: str | None = None
) -> RemoteTurnInput:
    """Write an input for the wire; images are named by their place."""
    items: list[RemoteInputItem] = []
    blobs: dict[str, str] = {}
    for place, item in enumerate(turn_input.items):
        if isinstance(item, TextItem):
            items.append(RemoteTextItem(text=item.text))
        else:
            image = RemoteImageRef(id=f"image-{place}", media_type=item.media_type)
            blobs[image.id] = base64.b64encode(item.data).decode()
            items.append(image)
    return RemoteTurnInput(
        protocol_version=PROTOCOL_VERSION,
        items=tuple(items),
        image_blobs_base64=blobs,
        trace_turn_id=trace_turn_id,
    )


def turn_input_from_remote(remote: RemoteTurnInput) -> TurnInput:
    """
    Read an input from the wire; the turn's id, if there is one, is the caller's to use.

    Raises:
        NonRemoteSafeTurnInput: an image has no blob, or there are options or a prompt layer.
    """
    for name in ("protocol_turn_options", "prompt_layer"):
        if getattr(remote, name) is not None:
            raise NonRemoteSafeTurnInput(reason=f"this runtime knows no {name}")
    return TurnInput(items=tuple(_item(remote, item) for item in remote.items))


def _item(remote: RemoteTurnInput, item: RemoteInputItem) -> InputItem:
    if isinstance(item, RemoteTextItem):
        return TextItem(text=item.text)
    blob = remote.image_blobs_base64.get(item.id)
    if blob is None:
        raise NonRemoteSafeTurnInput(reason=f"image {item.id!r} has no blob")
    return ImageItem(media_type=item.media_type, data=base64.b64decode(blob))
