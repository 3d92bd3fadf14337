"""Request bodies as they come: whole, and decompressed.

What always holds: nothing comes out that is larger than its bound, nor any part of a body whose end is missing: a cut
line-delimited body would pass for a whole one. Source: what a node of 1.50 takes; an encoding it does not know, zstd
among them, it takes for none. Who calls it: the HTTP shells.
"""

import zlib

import brotli

from schemas.errors import InvalidRequestError

_GZIP_BITS, _ZLIB_BITS = 31, 15
_STEP_BYTES = 1 << 20
"""Asked of the brotli decoder at once: 27 bytes may stand for megabytes."""

_MIB = 1 << 20


def decompress(body: bytes, encoding: str | None, bytes_max: int) -> bytes:
    """Return a body without its compression.

    Args:
        body: as it was sent.
        encoding: the ``Content-Encoding`` header, if there was one.
        bytes_max: what it may become.

    Raises:
        InvalidRequestError: it is not what the header says, not whole, or too large.
    """
    match (encoding or "").strip().lower():
        case "gzip":
            return _inflate(body, _GZIP_BITS, bytes_max)
        case "deflate":
            return _inflate(body, _ZLIB_BITS, bytes_max)
        case "br":
            return _decode_brotli(body, bytes_max)
        case _:
            return body


def incomplete() -> InvalidRequestError:
    """Return the refusal of a body that is cut short or damaged."""
    return InvalidRequestError("bad_request", "The provided payload is incomplete and cannot be parsed")


def too_large(bytes_max: int) -> InvalidRequestError:
    """Return the refusal of a body larger than its bound."""
    limit = f"The maximum accepted payload size is {bytes_max // _MIB} MiB."
    return InvalidRequestError("payload_too_large", f"The provided payload reached the size limit. {limit}")


def _inflate(body: bytes, window_bits: int, bytes_max: int) -> bytes:
    decoder = zlib.decompressobj(window_bits)
    try:
        found = decoder.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise incomplete() from error
    if len(found) > bytes_max:
        raise too_large(bytes_max)
    if not decoder.eof or decoder.unused_data:
        raise incomplete()
    return found


def _decode_brotli(body: bytes, bytes_max: int) -> bytes:
    decoder = brotli.Decompressor()
    found = bytearray()
    rest = body
    try:
        while not decoder.is_finished():
            part = decoder.process(rest, output_buffer_limit=_STEP_BYTES)
            found += part
            rest = b""
            if len(found) > bytes_max:
                raise too_large(bytes_max)
            if not part and not decoder.is_finished():
                raise incomplete()
    except brotli.error as error:
        raise incomplete() from error
    return bytes(found)
