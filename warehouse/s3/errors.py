"""What S3 refuses or fails at, as errors that say what to do, or that another try may mend."""

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
"""What reading an object raises where the connection breaks, or the bytes are not those that were stored."""

_TRANSIENT = (NoConnectionError, HTTPClientError, HTTPError, *CUT_SHORT)
_NOT_TRUSTED = re.compile("CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER")
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, ProfileNotFound)
_TRANSIENT_CODES = re.compile(
    r"(Request)?(Thrott|LimitExceeded|Timeout)|SlowDown|TooManyRequests|BandwidthLimit"
    r"|Internal(Error|Failure)|ServiceUnavailable|OperationAborted"
)
_ELSEWHERE = "the bucket is in another region: set region_name of the AWS Credentials block to the bucket's"
_NOT_ALLOWED = (
    "these credentials may not do this ({operation}): allow s3:ListBucket on the bucket, s3:GetObject on its objects"
)
_UNKNOWN_KEY = "the access key id is not known: give the AWS Credentials block one that is active"
_NO_KEYS = "give this machine a role or a profile, or name as aws_credentials an AWS Credentials block that has keys"
_GONE = "there is no such object (any more): check the name, and run again once nothing moves the files"
_EXPIRED = "the session token has expired or is not valid: get a new one, and save it in the AWS Credentials block"
_REFUSED = {
    "NoSuchBucket": "there is no such bucket: check its name, and the endpoint_url of the AWS Credentials block",
    "NoSuchKey": _GONE,
    "404": _GONE,
    "AccessDenied": _NOT_ALLOWED,
    "AllAccessDisabled": _NOT_ALLOWED,
    "403": _NOT_ALLOWED,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": "the secret access key is not that of the access key id: give the AWS Credentials block "
    "the two that belong together",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "PermanentRedirect": _ELSEWHERE,
    "TemporaryRedirect": _ELSEWHERE,
    "301": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
    "InvalidObjectState": "the object is archived: restore it first",
}


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Raise what fails in the block as an error about `name`.

    The texts hold nothing that an answer or a setting says, since that may be a key; only codes, hosts and
    names of errors.

    Raises:
        TransientError: another try may succeed.
        CopyError: none will before something is changed.
    """
    try:
        yield
    except ClientError as error:
        raise _refusal(name, error) from None
    except _TRANSIENT as error:
        raise _no_answer(name, error) from None
    except _NO_CREDENTIALS as error:
        raise NotAllowedError(f"{name}: {error}: {_NO_KEYS}") from None
    except BotoCoreError as error:
        raise CopyError(
            f"{name}: cannot be read ({type(error).__name__}): check the AWS credentials and their client parameters"
        ) from None


def _refusal(name: str, error: ClientError) -> Exception:
    code = error.response.get("Error", {}).get("Code", "Unknown")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or status == 429 or _TRANSIENT_CODES.match(code):
        return TransientError(f"{name}: S3 cannot answer now ({code}, status {status})")
    reason = _REFUSED.get(code, "S3 refuses {operation}: look its code up in the S3 API's list of error codes")
    kind = NotAllowedError if reason is _NOT_ALLOWED else CopyError
    return kind(f"{name}: {reason.format(operation=error.operation_name)} ({code})")


def _no_answer(name: str, error: Exception) -> Exception:
    if isinstance(error, SSLError) and (reason := _NOT_TRUSTED.search(str(error))):
        return CopyError(
            f"{name}: no trusted connection to {_host(error)} ({reason[0]}): check endpoint_url (http or https) and "
            "verify_cert_path in the client parameters of the AWS Credentials block"
        )
    return TransientError(f"{name}: no whole answer from {_host(error)} ({type(error).__name__})")


def _host(error: Exception) -> str:
    """Return the host that an error is about: its URL may hold a password."""
    url = str(getattr(error, "kwargs", {}).get("endpoint_url") or "")
    return urlsplit(url).netloc.rpartition("@")[2] or "S3"
