"""``lash-es fork``: a new session that begins where another one stood."""

from lash_es.cli.addressing import Log, Opening, moment, open_inner, past_at, sealed
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId
from lash_es.timetravel.forking import fork


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
        child = StreamId(namespace, SessionId(session))
        forked = fork(store, meant.stream, child, past_at(log, meant).version)
        parent = f"{meant.stream.session_id}@{forked.version - 1}"
        if as_json:
            document = {"session": session, "namespace": namespace, "parent": parent}
            counts = {"position": forked.version, "bodies_count": forked.bodies_count}
            print_json({"db": store.where} | document | counts)
            return
        contents = f", with {plural(forked.bodies_count, 'content')} of its transcript"
        Screen().line((session, "bold"), f" begins where {parent} stood", (contents, "dim"))
