"""`crypto`: random values, digests, HMAC, derived keys; AES where the package `cryptography` is installed. (edge)"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import uuid
from typing import Any, Final

from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import (
    JsArray,
    JsBytes,
    JsClass,
    JsObject,
    JsValue,
    TypedArray,
    as_number,
    bytes_of,
    is_buffer,
    unproxied,
)

RANDOM_BYTES_MAX: Final = 65_536
_HASHES: Final = {
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
    "MD5": "md5",
}
_AES: Final = ("AES-GCM", "AES-CBC", "AES-CTR")
_DERIVING: Final = ("PBKDF2", "HKDF")
_SUPPLIED: Final = ("HMAC", *_AES, *_DERIVING)
_NO_AES: Final = "{name} needs the package cryptography, which is not installed: pip install cryptography"


class CryptoKey(JsValue, metaclass=JsClass):
    """A key; what it is for is in `algorithm` and `usages`."""

    type = "secret"

    def __init__(self, data: bytes, algorithm: JsObject, extractable: bool, usages: Any) -> None:
        self._data = data
        self.algorithm = algorithm
        self.extractable = bool(extractable)
        self.usages = JsArray(usages or ())

    def __repr__(self) -> str:
        return f"CryptoKey {{ algorithm: {self.algorithm['name']}, usages: {', '.join(self.usages)} }}"


def _algorithm(given: Any, supplied: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Return the name of an algorithm, as it is written in standards, and its parameters."""
    given = unproxied(given)
    options = dict(given) if isinstance(given, dict) else {"name": given}
    asked = str(options.get("name"))
    name = next((name for name in supplied if name.upper() == asked.upper()), None)
    if name is None:
        raise js_error(
            "NotSupportedError",
            f"Unrecognized or unimplemented algorithm {asked!r}: here are {', '.join(supplied)}.",
        )
    return name, options


def _hash_of(options: dict[str, Any]) -> str:
    name, _ = _algorithm(options.get("hash", options.get("name")), tuple(_HASHES))
    return name


def _data(value: Any, what: str = "data") -> bytes:
    value = unproxied(value)
    if not is_buffer(value):
        hint = ' Encode it: "…".encode().' if isinstance(value, str) else ""
        raise TypeError(f"{what} are bytes, a buffer or a typed array; got {type(value).__name__}.{hint}")
    return bytes_of(value)


class SubtleCrypto:
    """`crypto.subtle`."""

    async def digest(self, algorithm: Any, data: Any) -> JsBytes:
        """Return the digest of *data* by SHA-1, SHA-256, SHA-384, SHA-512 or MD5."""
        name, _ = _algorithm(algorithm, tuple(_HASHES))
        return JsBytes(hashlib.new(_HASHES[name], _data(data), usedforsecurity=False).digest())

    async def importKey(
        self, format: str, data: Any, algorithm: Any, extractable: bool = False, usages: Any = ()
    ) -> CryptoKey:
        """Return the key with the bytes *data* ("raw"), or the JSON Web Key *data* ("jwk")."""
        name, options = _algorithm(algorithm, _SUPPLIED)
        if format == "jwk":
            encoded = str(dict(data)["k"])
            raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        elif format == "raw":
            raw = _data(data, "the bytes of a key")
        else:
            raise js_error(
                "NotSupportedError", f"Keys of {name} are imported as raw or jwk, not as {format!r}."
            )
        if name in _AES and len(raw) not in (16, 24, 32):
            raise js_error("DataError", f"A key of AES has 128, 192 or 256 bits, not {len(raw) * 8}.")
        return CryptoKey(raw, _described(name, options, raw), extractable, usages)

    async def generateKey(self, algorithm: Any, extractable: bool = False, usages: Any = ()) -> CryptoKey:
        """Return a new key of HMAC or AES."""
        name, options = _algorithm(algorithm, ("HMAC", *_AES))
        raw = os.urandom(_key_bits(name, options) // 8)
        return CryptoKey(raw, _described(name, options, raw), extractable, usages)

    async def exportKey(self, format: str, key: CryptoKey) -> Any:
        """Return the bytes of *key* ("raw"), or the key as a JSON Web Key ("jwk")."""
        if not key.extractable:
            raise js_error(
                "InvalidAccessError", "The key was made with extractable false: it cannot be exported."
            )
        if format == "raw":
            return JsBytes(key._data)
        if format != "jwk":
            raise js_error("NotSupportedError", f"Keys are exported as raw or jwk, not as {format!r}.")
        encoded = base64.urlsafe_b64encode(key._data).rstrip(b"=").decode()
        return JsObject(kty="oct", k=encoded, ext=True, key_ops=key.usages)

    async def sign(self, algorithm: Any, key: CryptoKey, data: Any) -> JsBytes:
        """Return the HMAC of *data*."""
        _algorithm(algorithm, ("HMAC",))
        _check_usage(key, "sign")
        return JsBytes(_mac(key, _data(data)))

    async def verify(self, algorithm: Any, key: CryptoKey, signature: Any, data: Any) -> bool:
        """Tell whether *signature* is the HMAC of *data*."""
        _algorithm(algorithm, ("HMAC",))
        _check_usage(key, "verify")
        return hmac.compare_digest(_mac(key, _data(data)), _data(signature, "a signature"))

    async def encrypt(self, algorithm: Any, key: CryptoKey, data: Any) -> JsBytes:
        """Return *data* encrypted by AES."""
        name, options = _algorithm(algorithm, _AES)
        _check_usage(key, "encrypt")
        return JsBytes(_aes(name, options, key._data, _data(data), is_encrypting=True))

    async def decrypt(self, algorithm: Any, key: CryptoKey, data: Any) -> JsBytes:
        """Return what was encrypted by AES."""
        name, options = _algorithm(algorithm, _AES)
        _check_usage(key, "decrypt")
        return JsBytes(_aes(name, options, key._data, _data(data), is_encrypting=False))

    async def deriveBits(self, algorithm: Any, key: CryptoKey, length: int) -> JsBytes:
        """Return *length* bits by PBKDF2 or HKDF."""
        name, options = _algorithm(algorithm, _DERIVING)
        hash_name = _HASHES[_hash_of({"hash": options.get("hash")})]
        salt, size = _data(options.get("salt", b""), "salt"), length // 8
        if name == "PBKDF2":
            return JsBytes(hashlib.pbkdf2_hmac(hash_name, key._data, salt, int(options["iterations"]), size))
        return JsBytes(_hkdf(hash_name, key._data, salt, _data(options.get("info", b""), "info"), size))

    async def deriveKey(
        self, algorithm: Any, key: CryptoKey, derived: Any, extractable: bool = False, usages: Any = ()
    ) -> CryptoKey:
        """Return a key of HMAC or AES made by PBKDF2 or HKDF."""
        name, options = _algorithm(derived, ("HMAC", *_AES))
        raw = await self.deriveBits(algorithm, key, _key_bits(name, options))
        return CryptoKey(bytes(raw), _described(name, options, raw), extractable, usages)

    def timingSafeEqual(self, one: Any, other: Any) -> bool:
        """Tell whether two buffers of the same length are equal, in time that says nothing of where they differ."""
        first, second = _data(one), _data(other)
        if len(first) != len(second):
            raise TypeError(
                f"Input buffers must have the same byte length; got {len(first)} and {len(second)}."
            )
        return hmac.compare_digest(first, second)


def _described(name: str, options: dict[str, Any], raw: bytes) -> JsObject:
    if name == "HMAC":
        return JsObject(
            name=name, hash=JsObject(name=_hash_of({"hash": options.get("hash")})), length=len(raw) * 8
        )
    return JsObject(name=name, length=len(raw) * 8) if name in _AES else JsObject(name=name)


def _key_bits(name: str, options: dict[str, Any]) -> int:
    length = options.get("length")
    if name == "HMAC":
        return int(
            as_number(length or hashlib.new(_HASHES[_hash_of({"hash": options.get("hash")})]).block_size * 8)
        )
    if length not in (128, 192, 256):
        raise js_error(
            "OperationError", f"A key of AES has a length of 128, 192 or 256 bits; got {length!r}."
        )
    return int(length)


def _check_usage(key: Any, usage: str) -> None:
    if not isinstance(key, CryptoKey):
        raise TypeError(f"{usage}() takes a key of crypto.subtle.importKey(); got {type(key).__name__}.")
    if usage not in key.usages:
        shown = ", ".join(key.usages) or "nothing"
        raise js_error(
            "InvalidAccessError", f"The key is for {shown}, not for {usage!r}: say so in its usages."
        )


def _mac(key: CryptoKey, data: bytes) -> bytes:
    return hmac.digest(key._data, data, _HASHES[key.algorithm["hash"]["name"]])


def _hkdf(hash_name: str, secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """Return *size* bytes by RFC 5869."""
    pseudorandom = hmac.digest(salt or bytes(hashlib.new(hash_name).digest_size), secret, hash_name)
    block, made = b"", b""
    for number in range(1, 256):
        if len(made) >= size:
            break
        block = hmac.digest(pseudorandom, block + info + bytes([number]), hash_name)
        made += block
    return made[:size]


def _aes(name: str, options: dict[str, Any], key: bytes, data: bytes, *, is_encrypting: bool) -> bytes:
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives import padding
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        raise js_error("NotSupportedError", _NO_AES.format(name=name)) from None
    aes = algorithms.AES(key)
    failed = js_error(
        "OperationError", "Decryption failed. This could be due to a ciphertext authentication failure."
    )
    if name == "AES-CTR":
        counter = Cipher(aes, modes.CTR(_data(options.get("counter"), "the counter")))
        context = counter.encryptor()  # the same both ways
        return bytes(context.update(data) + context.finalize())
    iv = _data(options.get("iv"), "iv")
    if name == "AES-CBC":
        cipher = Cipher(aes, modes.CBC(iv))
        if is_encrypting:
            pad, context = padding.PKCS7(128).padder(), cipher.encryptor()
            return bytes(context.update(pad.update(data) + pad.finalize()) + context.finalize())
        unpad, reader = padding.PKCS7(128).unpadder(), cipher.decryptor()
        try:
            return bytes(unpad.update(reader.update(data) + reader.finalize()) + unpad.finalize())
        except ValueError:
            raise failed from None
    tag_size = int(options.get("tagLength") or 128) // 8
    if is_encrypting:
        writer = Cipher(aes, modes.GCM(iv)).encryptor()
        writer.authenticate_additional_data(_data(options.get("additionalData") or b""))
        return bytes(writer.update(data) + writer.finalize() + writer.tag[:tag_size])
    if len(data) < tag_size:
        raise failed
    body, tag = data[:-tag_size], data[-tag_size:]
    opener = Cipher(aes, modes.GCM(iv, tag, min_tag_length=tag_size)).decryptor()
    opener.authenticate_additional_data(_data(options.get("additionalData") or b""))
    try:
        return bytes(opener.update(body) + opener.finalize())
    except InvalidTag:
        raise failed from None


class Crypto:
    """`crypto`."""

    subtle = SubtleCrypto()

    def randomUUID(self) -> str:
        return str(uuid.uuid4())

    def getRandomValues(self, array: Any) -> Any:
        """
        Fill *array* with random bytes, and return it.

        Raises:
            JsException: a `QuotaExceededError`: it is larger than 65,536 bytes.
            TypeError: it is no array of whole numbers.
        """
        target = unproxied(array)
        if isinstance(target, JsBytes):  # what `to_js(bytes(16))` made: nobody can write to it
            return JsBytes(os.urandom(_within(len(target))))
        if isinstance(target, TypedArray) and target._format not in "fd":
            target.assign(os.urandom(_within(target.byteLength)))
            return array
        if isinstance(target, (bytearray, memoryview)):
            memoryview(target).cast("B")[:] = os.urandom(_within(len(target)))
            return array
        raise js_error(
            "TypeMismatchError",
            f"getRandomValues() fills an array of whole numbers, as Uint8Array.new(16); got {type(target).__name__}.",
        )

    def __repr__(self) -> str:
        return "Crypto {}"


def _within(size: int) -> int:
    if size > RANDOM_BYTES_MAX:
        raise js_error(
            "QuotaExceededError",
            f"getRandomValues() only accepts buffers of size <= {RANDOM_BYTES_MAX} bytes; the provided one is of {size} bytes.",
        )
    return size


crypto: Final = Crypto()
