"""Protocol v1: the frames between a client and an actor, sans-I/O, in JSON and in CBOR.

`frames` is what the frames say, `json_codec` and `cbor_codec` how they are written. The JSON of
plain HTTP is here too, since its values follow the rules of the JSON frames.
"""

from denizen.core.limits import Limits
from denizen.wire.v1.cbor_codec import CborCodec
from denizen.wire.v1.codec import Codec
from denizen.wire.v1.json_codec import JsonCodec, decode_json_args, encode_json_value, is_too_deep

__all__ = ["CODECS", "Codec", "decode_json_args", "encode_json_value", "is_too_deep", "make_codecs"]


def make_codecs(limits: Limits) -> dict[str, Codec]:
    """The codecs by the name that a connection asks for (`format`), under these limits."""
    return {"json": JsonCodec(limits), "cbor": CborCodec(limits)}


CODECS = make_codecs(Limits())
"""The codecs under the default limits."""
