"""Every error of a store says what was asked, where, and what was found; and survives a pickle."""

import pickle

import pytest

from lash_es.log.errors import (
    MalformedAppend,
    RepeatedStream,
    StorageError,
    StoreBusy,
    StoreClosed,
    StoreDisconnected,
    StoreFailed,
    StoreFormatNewer,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    TooManyAppendsWaiting,
)

ERRORS = (
    (StoreUnavailable(where="a.db", reason="it is a directory"), "a.db: it is a directory"),
    (StoreReadOnly(where="a.db"), "the log at a.db is read-only"),
    (StoreFull(where="a.db", reason="disk is full"), "no room left for the log at a.db"),
    (StoreBusy(where="a.db", waited_ms=7), "a.db was locked for more than 7 ms"),
    (StoreFailed(where="a.db", reason="odd"), "the log at a.db failed: odd"),
    (StoreClosed(where="a.db"), "the log at a.db is closed"),
    (StoreDisconnected(where="there", reason="gone"), "no connection to the log at there: gone"),
    (TooManyAppendsWaiting(where="a.db", appends_waiting_max=9), "9 appends wait for the log"),
    (MalformedAppend(session_id="s", expected_version=2, positions=(3,)), "from 2 on"),
    (RepeatedStream(session_id="s"), "more than once to session 's'"),
    (StoreFormatNewer(where="a.db", found=(2, 1), known=(1, 1)), "in record format 2, tables 1"),
)


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=lambda each: type(each).__name__)
def test_an_error_says_what_is_wrong(error: StorageError, words: str) -> None:
    assert words in error.summary()
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.fields) == (type(error), error.fields)


def test_only_what_passes_is_worth_another_try() -> None:
    passing = [type(error) for error, _ in ERRORS if error.is_retryable]
    assert passing == [StoreBusy, StoreDisconnected, TooManyAppendsWaiting]
