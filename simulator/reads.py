"""get and list: pages, old revisions, selectors. Answers bytes; changes nothing."""

from simulator import present, selectors
from simulator.errors import StatusError, bad_request, cause, expired, invalid, not_found
from simulator.request import Request
from simulator.store import Collection, Store, Stored

TOO_OLD_PAGE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def get(store: Store, request: Request) -> bytes:
    return present.one(find(store, request), present.form(request.accept))


def find(store: Store, request: Request) -> Stored:
    resource = request.target
    stored = store.get(resource, request.key)
    if stored is None:
        raise not_found(resource.group, resource.plural, request.name)
    return stored


def select(store: Store, request: Request) -> list[Stored]:
    """Everything the request's namespace and selectors name, now."""
    return list(store.collections[request.target].select(request.namespace, selector_of(request)))


def selector_of(request: Request) -> selectors.Selector:
    labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    if request.name:
        fields = f"metadata.name={request.name}"
    return selectors.parse(request.target, labels, fields)


def list_objects(store: Store, request: Request) -> bytes:
    resource, selector = request.target, selector_of(request)
    collection = store.collections[resource]
    limit = request.number("limit") or 0
    revision, start = _position(store, request)
    if revision == store.revision:
        found = list(collection.select(request.namespace, selector))
    else:
        try:
            found = collection.at(revision, request.namespace, selector)
        except StatusError:
            if "continue" not in request.query:
                raise
            raise _expired_page(store, start) from None
    if start:
        namespace, _, name = start.partition("/")
        found = [stored for stored in found if stored.key > (namespace, name)]
    metadata: dict[str, object] = {"resourceVersion": str(revision)}
    if resource.custom:
        metadata["continue"] = ""
    if limit and _continues(collection, request, found, limit):
        last = found[limit - 1].key
        metadata["continue"] = present.token(revision, f"{last[0]}/{last[1]}")
        if not selector:
            metadata["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    return present.many(resource, found, metadata, present.form(request.accept))


def _continues(collection: Collection, request: Request, found: list[Stored], limit: int) -> bool:
    """Whether there is a next page. A server with a selector cannot know that it will be empty."""
    if len(found) < limit:
        return False
    keys = collection.keys(request.namespace)
    return len(found) > limit or bool(keys and keys[-1] > found[limit - 1].key)


def require_reached(store: Store, revision: int) -> None:
    """A revision that this server has not reached yet is a 504, which clients retry."""
    if revision <= store.revision:
        return
    message = f"Too large resource version: {revision}, current: {store.revision}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    raise StatusError(504, "Timeout", f"Timeout: {message}", details, retry_after=1)


def revision_of(request: Request) -> int | None:
    text = request.query.get("resourceVersion", "")
    if not text:
        return None
    if not text.isdigit():
        parse = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": {parse}')
    return int(text)


def _position(store: Store, request: Request) -> tuple[int, str]:
    """(revision to answer from, last key already given)."""
    revision, match = revision_of(request), request.query.get("resourceVersionMatch", "")
    if token := request.query.get("continue", ""):
        if revision:
            raise bad_request("specifying resource version is not allowed when using continue")
        try:
            at, start = present.read_token(token)
        except ValueError as error:
            raise bad_request(f"invalid continue token: {error}") from None
        return (at if at > 0 else store.revision), start
    if match and revision is None:
        text = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise _bad_option("FieldValueForbidden", text)
    if match not in ("", "Exact", "NotOlderThan"):
        text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        raise _bad_option("FieldValueNotSupported", text)
    if not revision:
        return store.revision, ""
    require_reached(store, revision)
    return (revision, "") if match == "Exact" else (store.revision, "")


def _bad_option(reason: str, text: str) -> StatusError:
    return invalid("meta.k8s.io", "ListOptions", "", [cause(reason, text, "resourceVersionMatch")])


def _expired_page(store: Store, start: str) -> StatusError:
    error = expired(TOO_OLD_PAGE)
    error.status["metadata"] = {"continue": present.token(-1, start)}
    return error
