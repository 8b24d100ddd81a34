"""Every limit: value, unit, source. (pure)

A limit that Cloudflare documents in one way and enforces in another stands here as enforced, with the
documented value beside it.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

# --- ids and names -----------------------------------------------------------------------------------
ID_BYTES: Final = 32  # NS-03: 16 bytes of name hash or chance, 16 bytes of check
OBJECT_NAME_VISIBLE_BYTES_MAX: Final = 1024  # NS-16, LIM-21: a longer name is not shown as ctx.id.name

# --- values ------------------------------------------------------------------------------------------
RPC_MESSAGE_BYTES_MAX: Final = 32 * MIB  # RPC-15, LIM-09
RPC_PATH_MAX: Final = 64  # RPC-07: names from a target on
RPC_MAP_STEPS_MAX: Final = 100_000  # calls and reads of one map(), over all items
RPC_UNSENT_BYTES_MAX: Final = 128 * MIB  # that another process has not read yet
RPC_CLOSE_S: Final = 5.0  # for the last words of a session to leave
VALUE_DEPTH_MAX: Final = 10_000  # a nested value deeper than this is refused, not a crash
V8_DEPTH_MAX: Final = 200  # levels of a value of workerd's that is imported
V8_MADE_MAX: Final = 8_000_000  # in one value: bytes of views, and elements of arrays of which few are there
NAMES_CACHED_MAX: Final = 10_000  # ids of names, remembered for each namespace
LIST_LIMIT_MAX: Final = 2**63 - 1
OBJECTS_LISTED_MAX: Final = 1000  # of Namespace.list at once

# --- KV namespaces, as Cloudflare documents them ---------------------------------------------------------
KV_KEY_BYTES_MAX: Final = 512
KV_VALUE_BYTES_MAX: Final = 25 * MIB  # of one value, and of all that one call reads
KV_METADATA_BYTES_MAX: Final = 1024  # as JSON
KV_EXPIRATION_S_MIN: Final = 60  # from now
KV_EXPIRES_S_MAX: Final = 253_402_300_799  # the last second that a datetime can say; later is never
KV_CACHE_TTL_S_MIN: Final = 30
KV_LISTED_MAX: Final = 1000  # of list() at once
KV_KEYS_AT_ONCE_MAX: Final = 100  # of get() with several keys

# --- requests ----------------------------------------------------------------------------------------
FORM_ENTRIES_MAX: Final = 10_000  # of one form or query
CACHED_BYTES_MAX: Final = 64 * MIB  # of the bodies that one cache of a Cloudflare project keeps in memory

# --- SQL (SQL-30, LIM-04, LIM-07) --------------------------------------------------------------------
SQL_VALUE_BYTES_MAX: Final = 8 * MIB + 32  # documented 2 MB; workerd takes values of 8 MiB and a little
SQL_STATEMENT_BYTES_MAX: Final = 100_000
SQL_COLUMNS_MAX: Final = 100
SQL_PARAMETERS_MAX: Final = 100
SQL_EXPRESSION_DEPTH_MAX: Final = 100
SQL_COMPOUND_TERMS_MAX: Final = 5
SQL_VDBE_OPS_MAX: Final = 250_000  # documented 25,000; 100 KB of SQL compile to about 75,000 on workerd
SQL_FUNCTION_ARGUMENTS_MAX: Final = 127  # documented 32
SQL_PATTERN_BYTES_MAX: Final = 50
SQL_TRIGGER_DEPTH_MAX: Final = 10
SQL_RETURNING_BYTES_MAX: Final = 64 * MIB  # rows of a writing statement are kept in memory at exec

# --- gates -------------------------------------------------------------------------------------------
CRITICAL_SECTION_TIMEOUT_S: Final = 30.0  # GATE-15, LIM-15
CRITICAL_SECTION_DEPTH_MAX: Final = 64  # GATE-16

# --- overload of one object (GATE-20, ERR-13…16); Cloudflare names the errors and keeps the numbers to itself ---
QUEUED_EVENTS_MAX: Final = 10_000  # about a second of work for a handler that writes a row
QUEUED_BYTES_MAX: Final = (
    128 * MIB
)  # of their arguments and bodies: as much as Cloudflare gives an object in all
QUEUED_S_MAX: Final = 60.0  # twice what a critical section may take: a slow one alone refuses nobody
EVENT_WINDOW_S: Final = 10.0  # ERR-16: over which the events of one object may be counted
EVENT_CANCEL_GRACE_S: Final = 5.0  # an event that is cancelled at its time limit must have ended by then
TASKS_MAX: Final = 10_000  # LIM-22: timers of one object; here they are tasks

# --- life of an object -------------------------------------------------------------------------------
IDLE_EVICTION_S: Final = 10.0  # LIFE-04, LIM-17
WAIT_UNTIL_OBJECT_S: Final = 15 * 60.0  # CTX-07: keeps an object from eviction at most this long
WAIT_UNTIL_WORKER_S: Final = 30.0  # EP-06: after the response
EVICTION_WAIT_S: Final = 30.0  # TEST-05: so long a test's eviction waits for what is in progress
REDIRECTS_MAX: Final = 20

# --- WebSockets --------------------------------------------------------------------------------------
WEBSOCKETS_MAX: Final = 32_768  # WS-05: hibernatable ones of one object
WEBSOCKET_TAGS_MAX: Final = 10  # WS-04
WEBSOCKET_TAG_BYTES_MAX: Final = 256  # WS-04; "characters" in its text
WEBSOCKET_ATTACHMENT_BYTES_MAX: Final = 16_384  # WS-18
WEBSOCKET_AUTO_RESPONSE_BYTES_MAX: Final = 2048  # WS-21
WEBSOCKET_EVENT_TIMEOUT_MS_MAX: Final = 604_800_000  # WS-25: a week
WEBSOCKET_REASON_BYTES_MAX: Final = 123  # WS-16: a control frame holds 125, two of them are the code
WEBSOCKET_MESSAGE_BYTES_MAX: Final = 32 * MIB  # WS-30
WEBSOCKET_CLOSE_GRACE_S: Final = 0.5  # an object that does not answer a Close has it answered after so long
WEBSOCKET_CLOSE_TIMEOUT_S: Final = 10.0  # a client that does not answer ours is cut off
WEBSOCKET_LINGER_BYTES: Final = 1 * MIB  # a client that broke a rule may still send, unread, to learn why
WEBSOCKET_RETRY_S: Final = 1.0  # an overloaded object is told of a close so much later
WEBSOCKET_WAITING_MAX: Final = 256  # messages of one socket whose handlers run; then its client has to wait
WEBSOCKET_WAITING_BYTES_MAX: Final = 1 * MIB  # … or bytes of them
WEBSOCKET_UNHEARD_MAX: Final = (
    100_000  # messages of one socket that wait within the process, where nobody is held back …
)
WEBSOCKET_UNHEARD_BYTES_MAX: Final = 64 * MIB  # … or bytes of them: a further one closes it (1013)
WEBSOCKET_SETTINGS_MAX: Final = (
    10_000  # objects of a class that are remembered asleep; more only if they have sockets
)
WEBSOCKET_UNREAD_BYTES: Final = 2 * MIB  # of messages that nobody listens to: more is dropped
WEBSOCKET_BUFFER_BYTES: Final = 8 * MIB  # sent and not taken by the client …
WEBSOCKET_BUFFER_S: Final = 2.0  # … for so long: a further message closes it (1013)
WEBSOCKET_BURST: Final = 8  # so many times that at one moment closes it at once: one step may say much

# --- Cap'n Web: what one peer may say ----------------------------------------------------------------
CAPNWEB_MESSAGE_UNITS_MAX: Final = 32 * MIB  # UTF-16 code units of one message
CAPNWEB_DEPTH_MAX: Final = 256  # levels of one message
CAPNWEB_BIGINT_DIGITS_MAX: Final = 16_384
CAPNWEB_STUBS_MAX: Final = 10_000  # open at a time in one session, in each direction
CAPNWEB_RESULTS_MAX: Final = 65_536  # calls of a peer that are under way, or whose results it has not let go
CAPNWEB_CALLS_BYTES_MAX: Final = 128 * MIB  # of calls of a peer that are under way
CAPNWEB_BATCH_UNITS_MAX: Final = 64 * MIB  # of all answers of one request
CAPNWEB_CHUNK_BYTES: Final = 64 * KIB  # of a blob or a body in one message
CAPNWEB_WINDOW_BYTES: Final = 1 * MIB  # of a stream that are sent and not yet taken

# --- alarms (LIM-16) ---------------------------------------------------------------------------------
ALARM_MS_MAX: Final = 6_942_585_599_999  # the end of 2189, in epoch milliseconds
ALARM_RUN_S_MAX: Final = 15 * 60.0  # ALM-17
ALARM_RETRIES_MAX: Final = 6  # ALM-14: of those that count
ALARM_RETRY_FIRST_S: Final = 2.0  # ALM-13; it doubles with each failure
ALARM_RETRY_EXPONENT_MAX: Final = 9
ALARM_RETRY_JITTER: Final = 0.25  # so much of the wait is added at random, at most
ALARMS_AT_ONCE: Final = 100  # runs that may be under way; one that waits for long counts no more
ALARMS_BEGUN_AT_ONCE: Final = 8  # then others have their turn: each opens a database
ALARM_WAITS_S: Final = 5.0  # that is how long
CLOCK_CHECK_S: Final = 10.0  # the machine's clock may be set forward: then what is due runs so soon
ALARM_INDEX_RETRY_S: Final = 1.0  # the index of alarms could not be read: try again
ALARMS_IN_MEMORY_MAX: Final = 10_000  # of those that wait; later ones are in the index alone
ALARMS_READ_AT_ONCE: Final = 1000  # from the index: some milliseconds of the loop
SCHEDULE_LATE_S_MAX: Final = 60.0  # a time of a schedule that is further back was missed
SCHEDULE_RUNS_OF_ONE_MAX: Final = 20  # the last runs that are kept of one schedule …
SCHEDULE_RUNS_MAX: Final = 1000  # … and of all schedules of an object
CRON_RUN_S_MAX: Final = 15 * 60.0  # EP-03
CRON_LATE_S_MAX: Final = (
    60.0  # a cron trigger that is further behind is not run; they are a minute apart at least
)

# --- storage engine ----------------------------------------------------------------------------------
PAGE_BYTES: Final = 4096
FRAME_HEADER_BYTES: Final = 24
WAL_HEADER_BYTES: Final = 32
FRAMES_PER_CHECKPOINT: Final = 1000  # a hot store is checkpointed about every so many frames
WAL_FRAMES_MAX: Final = 16_000  # 64 MiB: a cursor that somebody keeps open is ended for a checkpoint
WAL_READ_BYTES: Final = 4 * MIB  # frames are read and written in pieces of at most this size
OPEN_STORES_MAX: Final = 512  # connections kept open; least recently used are closed
DESCRIPTORS_PER_STORE: Final = 3  # the database, its WAL, and the descriptor that a checkpoint syncs
JOURNAL_BUDGET_BYTES: Final = 512 * MIB  # what a start after a crash reads and writes again: a second or two
JOURNAL_SEGMENT_BYTES: Final = 64 * MIB
JOURNAL_SEGMENTS_MIN: Final = 4
JOURNAL_SEGMENT_FIRST_BYTES: Final = 1 * MIB  # the first one after a start; each next one doubles
JOURNAL_SEGMENTS_FREE_MAX: Final = 2  # segments nobody needs that are kept for reuse
JOURNAL_BATCH_BYTES_MAX: Final = 8 * MIB  # one batch in memory and under one checksum
JOURNAL_PENDING_BYTES_MAX: Final = 64 * MIB  # appended and not yet durable: from here on new writers wait
JOURNAL_BYTES_PER_WRITER: Final = 64 * KIB  # of free room, for each writer let in at once when it was full
JOURNAL_PRESSURE_SOURCES_MAX: Final = 8  # stores asked to checkpoint at one time
JOURNAL_PRESSURE_INTERVAL_S: Final = 0.05  # how often they are asked again while the journal is too full
CATALOG_FLUSH_S: Final = 5.0  # so long what was heard of objects waits for more of it
CATALOG_NOTES_PER_COMMIT: Final = 256  # but no more than so much: some milliseconds of the loop
CATALOG_CACHE_BYTES: Final = 4 * MIB
BACKUPS_KNOWN_MAX: Final = 1000  # of a data folder's last backups; on an older one nothing is built
LAST_USE_PRECISION_S: Final = 600  # a later use is noted when it is so much later: each note writes a page
SLOW_STEP_MS: Final = 250  # the watchdog speaks when one step blocks the loop longer

# --- HTTP --------------------------------------------------------------------------------------------
HTTP_HEAD_BYTES_MAX: Final = (
    64 * KIB
)  # twice what nginx takes by default: nothing that comes through it is refused here
HTTP_HEADERS_MAX: Final = 100
HTTP_HEAD_TIMEOUT_S: Final = 10.0  # a head is one packet or two; who takes longer keeps a connection busy
HTTP_BODY_BYTES_MAX: Final = 100 * 1000 * 1000  # Cloudflare's limit of its free and Pro plans
HTTP_BODY_IDLE_S: Final = 60.0  # as long as common proxies wait
HTTP_BODY_RATE_MIN: Final = 250  # bytes/s, of a body whose length was announced: it is there to be sent
HTTP_KEEP_ALIVE_S: Final = 75.0  # longer than the 60 s of common proxies, which then close first
HTTP_LINGER_S: Final = 2.0  # a refused client has this long to read why
HTTP_WRITE_IDLE_S: Final = 60.0  # a client that takes nothing of a waiting response so long is cut off
HTTP_BUFFER_BYTES: Final = 64 * KIB  # of a body or response in memory, beyond which its sender has to wait
HTTP_CONNECTIONS_MAX: Final = 50_000  # open at a time, if the process may have as many descriptors
HTTP_TURNED_AWAY_MAX: Final = 64  # connections beyond that are told so; still further ones are closed at once
HTTP_REQUESTS_MAX: Final = 10_000  # in progress at a time; a second or two of work
HTTP_HEALTH_PATH: Final = (
    "/cdn-cgi/health"  # Cloudflare keeps /cdn-cgi/ from workers, so no application has it
)
HTTP_PROXIES: Final = "127.0.0.0/8,::1"  # trusted with X-Forwarded-*: those on this machine
HTTP_PARSE_BYTES: Final = 8 * KIB  # parsed at one go: bounds the pipelined requests that wait as objects
HTTP_FIRST_REQUEST_GRACE_S: Final = 0.5  # a connection accepted just before a stop may still send its request
OVERLOADED_RETRY_AFTER_S: Final = 5  # ERR-03: "do not retry soon"
TEE_BUFFER_BYTES_MAX: Final = 128 * MIB  # how far one copy of a cloned body may be behind the other
ERROR_FRAMES_MAX: Final = 60  # stack frames an error page shows of one exception
DRAIN_S: Final = 30.0
RELOAD_DRAIN_S: Final = 2.0

# --- operation ---------------------------------------------------------------------------------------
CONTROL_CLIENTS_MAX: Final = 32  # connections to the control socket at one time
CONTROL_REQUEST_BYTES_MAX: Final = 16 * MIB  # a value of the largest size, twice over
CONTROL_REPLY_BYTES_MAX: Final = 512 * MIB  # what a client takes: a result is bounded where it is made
CONTROL_REQUEST_S: Final = 10.0  # a client says within this time what it wants
CONTROL_WRITE_S: Final = 30.0  # a client that takes in nothing for so long has gone
CONTROL_STOP_S: Final = 5.0  # what cannot be broken off may take this long at a stop
CONTROL_WAIT_S: Final = 10.0  # so long one waits for a server that is starting, stopping or reloading
ADMIN_QUERY_S: Final = 10.0  # a query of an operator keeps the event loop at most this long
ADMIN_LIST_DEFAULT: Final = 1000  # entries of a list unless more are asked for
ADMIN_LIST_MAX: Final = 100_000

assert JOURNAL_BUDGET_BYTES >= JOURNAL_SEGMENTS_MIN * JOURNAL_SEGMENT_BYTES
assert WEBSOCKET_UNREAD_BYTES > WEBSOCKET_WAITING_BYTES_MAX  # what came before accept() is never dropped
