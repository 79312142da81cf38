"""What S3 refuses or fails at: errors that say what to do, and errors that a retry may fix."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from urllib3.exceptions import HTTPError

from warehouse.errors import CopyError, NotAllowedError, TransientError

CUT_SHORT = (IncompleteReadError, ResponseStreamingError, FlexibleChecksumError)
"""What reading an object raises if the connection breaks, or if the bytes are not those that were stored."""

_TRANSIENT = (NoConnectionError, HTTPClientError, HTTPError, *CUT_SHORT)
_NOT_TRUSTED = re.compile("CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER")
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, ProfileNotFound)
_TRANSIENT_CODES = re.compile(
    r"(Request)?(Thrott|LimitExceeded|Timeout)|SlowDown|TooManyRequests|BandwidthLimit"
    r"|Internal(Error|Failure)|ServiceUnavailable|OperationAborted"
)
_ELSEWHERE = "the bucket is in another region ({code}). Set region_name of the AWS Credentials block to that region"
_NOT_ALLOWED = (
    "these credentials do not allow {operation} ({code}). "
    "Allow them s3:ListBucket on the bucket and s3:GetObject on its objects"
)
_UNKNOWN_KEY = "the access key id is unknown ({code}). Save an active one in the AWS Credentials block"
_NO_KEYS = "Give this machine a role or a profile, or set aws_credentials to an AWS Credentials block with keys"
_GONE = "there is no such object, or no longer ({code}). Check the name, and retry when nothing moves the files"
_EXPIRED = "the session token is expired or invalid ({code}). Save a new one in the AWS Credentials block"
_REFUSED = {
    "NoSuchBucket": "there is no such bucket ({code}). Check its name, and endpoint_url of the AWS Credentials block",
    "NoSuchKey": _GONE,
    "404": _GONE,
    "AccessDenied": _NOT_ALLOWED,
    "AllAccessDisabled": _NOT_ALLOWED,
    "403": _NOT_ALLOWED,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": "the secret access key does not belong to the access key id ({code}). "
    "Save the matching pair in the AWS Credentials block",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "PermanentRedirect": _ELSEWHERE,
    "TemporaryRedirect": _ELSEWHERE,
    "301": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "RequestTimeTooSkewed": "the clock of this machine is wrong ({code}). Set it",
    "InvalidObjectState": "the object is archived ({code}). Restore it first",
}


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Raise what fails in the block as an error about `name`.

    Messages quote only codes, hosts and names of errors, never an answer or a setting, which may contain a key.

    Raises:
        TransientError: a retry may succeed.
        CopyError: no retry will succeed until something is changed.
    """
    try:
        yield
    except ClientError as error:
        raise _refusal(name, error) from None
    except _TRANSIENT as error:
        raise _no_answer(name, error) from None
    except _NO_CREDENTIALS as error:
        raise NotAllowedError(f"{name}: {error}. {_NO_KEYS}") from None
    except BotoCoreError as error:
        raise CopyError(
            f"{name}: cannot be read ({type(error).__name__}). Check the AWS credentials and their client parameters"
        ) from None


def _refusal(name: str, error: ClientError) -> Exception:
    code = error.response.get("Error", {}).get("Code", "Unknown")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or status == 429 or _TRANSIENT_CODES.match(code):
        return TransientError(f"{name}: S3 cannot answer now ({code}, status {status})")
    reason = _REFUSED.get(code, "S3 refuses {operation} ({code}). Look up the code in the S3 API's list of error codes")
    kind = NotAllowedError if reason is _NOT_ALLOWED else CopyError
    return kind(f"{name}: {reason.format(operation=error.operation_name, code=code)}")


def _no_answer(name: str, error: Exception) -> Exception:
    if isinstance(error, SSLError) and (reason := _NOT_TRUSTED.search(str(error))):
        return CopyError(
            f"{name}: no trusted connection to {_host(error)} ({reason[0]}). Check endpoint_url (http or https) and "
            "verify_cert_path in the client parameters of the AWS Credentials block"
        )
    return TransientError(f"{name}: no complete answer from {_host(error)} ({type(error).__name__})")


def _host(error: Exception) -> str:
    """Return the host that an error is about, without the URL, which may contain a password."""
    url = str(getattr(error, "kwargs", {}).get("endpoint_url") or "")
    return urlsplit(url).netloc.rpartition("@")[2] or "S3"
