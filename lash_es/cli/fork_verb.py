"""``lash-es fork``: a new session that begins where another one stood."""

import secrets
import time

from lash_es.cli.addressing import Log, Opening, moment, open_inner, past_at, sealed
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import SALT_BYTES
from lash_es.core.ids import SessionId
from lash_es.log.forking import Forking


def print_forked(
    opening: Opening, namespace: str, address: str, session: str, *, as_json: bool
) -> None:
    """
    Fork a session, and say what came of it.

    Raises:
        LashError: there is no such log, session or moment; a turn is open there; the new id is
            taken. Nothing was written.
    """
    with sealed(opening, open_inner(opening)) as store:
        log = Log(store=store, namespace=namespace)
        meant = moment(log, address)
        forking = Forking(
            store=store,
            now_ms=lambda: time.time_ns() // 1_000_000,
            token=lambda: secrets.token_hex(16),
            salt=lambda: secrets.token_bytes(SALT_BYTES),
        )
        child = StreamId(namespace, SessionId(session))
        forked = forking.fork(meant.stream, past_at(log, meant).version, child)
        parent = f"{meant.stream.session_id}@{forked.version - 1}"
        if as_json:
            document = {"session": session, "namespace": namespace, "parent": parent}
            counts = {"position": forked.version, "bodies_count": forked.bodies_count}
            print_json({"db": store.where} | document | counts)
            return
        contents = f", with {plural(forked.bodies_count, 'content')} of its transcript"
        Screen().line((session, "bold"), f" begins where {parent} stood", (contents, "dim"))
