"""Bodies: what is said, to bytes and back."""

import base64
import hashlib
import json

import pytest
from hypothesis import given

from lash_es.codec.contents import Content, decode_content, encode_content
from lash_es.codec.errors import UndecodableValue, UnencodableValue
from lash_es.core.messages import (
    EffectFailure,
    ImageItem,
    JsonObject,
    ModelReply,
    ProsePart,
    ProviderMark,
    ToolOutput,
    TurnInput,
)
from tests.codec.strategies import values
from tests.core.effort import effort

SALT = bytes(range(16))


@effort(60)
@given(content=values(TurnInput) | values(ModelReply) | values(ToolOutput) | values(EffectFailure))
def test_every_content_survives_the_round_trip(content: Content) -> None:
    body = encode_content(content, SALT)

    assert decode_content(body.content, body.media_type, type(content)) == content


def test_a_body_is_committed_to_with_its_salt() -> None:
    body = encode_content(TurnInput.of_text("hello"), SALT)

    assert body.media_type == "lash/turn-input;v=1"
    assert json.loads(body.content) == {"items": [{"kind": "text", "text": "hello"}]}
    assert body.commitment.digest == hashlib.sha256(SALT + body.content).hexdigest()
    assert body.commitment.bytes_count == len(body.content)


def test_images_are_kept_as_base64() -> None:
    data = bytes(range(256))
    body = encode_content(TurnInput(items=(ImageItem(media_type="image/png", data=data),)), SALT)
    (item,) = json.loads(body.content)["items"]

    assert base64.b64decode(item["data"]) == data


@pytest.mark.parametrize("data", ["no base64!", "QQ", 7, None])
def test_an_image_that_is_no_base64_is_refused(data: object) -> None:
    item = {"kind": "image", "media_type": "image/png", "data": data}
    stored = json.dumps({"items": [item]}).encode()

    with pytest.raises(UndecodableValue):
        decode_content(stored, "lash/turn-input;v=1", TurnInput)


def test_what_a_provider_attached_comes_back_unchanged() -> None:
    details: JsonObject = {
        "temperature": 0.25,
        "nested": {"list": [1, None, True, "x"]},
        "\u00e9": 1e300,
    }
    mark = ProviderMark(part_id="p", provider="acme", signature="s", details=details)
    reply = ModelReply(parts=(ProsePart(text="t", mark=mark),))
    body = encode_content(reply, SALT)
    again = decode_content(body.content, body.media_type, ModelReply)

    assert again == reply
    assert isinstance(again.parts[0], ProsePart)
    assert again.parts[0].mark is not None
    assert again.parts[0].mark.details == details


@pytest.mark.parametrize("details", [[], "text", 5])
def test_details_that_are_no_object_are_refused(details: object) -> None:
    part = {"kind": "prose", "text": "t", "mark": {"details": details}}
    stored = json.dumps({"parts": [part]}).encode()

    with pytest.raises(UndecodableValue, match="expected dict"):
        decode_content(stored, "lash/model-reply;v=1", ModelReply)


@pytest.mark.parametrize("content", [ToolOutput(text="\ud800"), TurnInput.of_text("\udfff")])
def test_a_lone_surrogate_is_refused(content: Content) -> None:
    with pytest.raises(UnencodableValue):
        encode_content(content, SALT)


def test_a_number_that_json_readers_lose_is_refused() -> None:
    mark = ProviderMark(details={"n": 2**64})

    with pytest.raises(UnencodableValue, match="lash/model-reply"):
        encode_content(ModelReply(parts=(ProsePart(text="t", mark=mark),)), SALT)


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "lash/tool-output;v=1",
        "lash/turn-input",
        "lash/turn-input;v=2",
        "lash/turn-input;v=x",
        "lash/turn-input;v=0",
        "lash/turn-input;v=-1",
    ],
)
def test_a_body_of_another_kind_or_a_newer_version_is_refused(media_type: str) -> None:
    body = encode_content(TurnInput.of_text("hello"), SALT)

    with pytest.raises(UndecodableValue):
        decode_content(body.content, media_type, TurnInput)


@pytest.mark.parametrize("stored", [b"", b"[]", b'{"items":"text"}', b'{"items":[{}]}'])
def test_a_body_of_another_shape_is_refused(stored: bytes) -> None:
    with pytest.raises(UndecodableValue):
        decode_content(stored, "lash/turn-input;v=1", TurnInput)
