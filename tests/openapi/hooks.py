"""What the description can't say to schemathesis, which makes requests from it."""

import unicodedata
import uuid

import schemathesis


def letters(text):
    """Whether a text's characters beyond ASCII are such that names can have."""
    kinds = (unicodedata.category(character) for character in text if character > "\x7f")
    return all(kind[0] in "LM" or kind == "Nd" for kind in kinds)


def sayable(value):
    """Names are letters and digits, and a whole number is written without a fraction."""
    if isinstance(value, dict):
        named = (value.get(key) for key in ("name", "to", "user", "chat"))
        names = (name for name in named if isinstance(name, str))
        return all(map(letters, names)) and all(map(sayable, value.values()))
    return not (isinstance(value, float) and value.is_integer())


@schemathesis.hook
def filter_body(context, body):
    return sayable(body)


@schemathesis.hook
def filter_query(context, query):
    return sayable(query)


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key is of one request."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and 0 < len(key) <= 128 and key.isascii() and key.isprintable():
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
