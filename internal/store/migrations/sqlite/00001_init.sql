-- +goose Up

-- Tells our files from every other SQLite database: "RIsy".
PRAGMA application_id = 0x52497379;

-- The oldest schema whose binaries may open this one. A migration that takes away or changes what they read or write
-- raises it; one that only adds leaves it as it is.
CREATE TABLE compatible (
    oldest INTEGER NOT NULL
) STRICT;

INSERT INTO compatible (oldest) VALUES (1);

-- One row for each pipeline: which directory and target its links belong to.
CREATE TABLE meta (
    pipeline TEXT    NOT NULL PRIMARY KEY,
    lineage  TEXT    NOT NULL, -- random, made with the row: tells a copy or a fresh store from this one
    source   TEXT    NOT NULL, -- the directory's tenant
    target   TEXT    NOT NULL, -- the SCIM base URL
    rules    TEXT    NOT NULL DEFAULT '',
    texts    TEXT,             -- JSON: the rules themselves by their key
    quarantine TEXT,         -- JSON, null when there is none
    bound    INTEGER NOT NULL, -- times are milliseconds since 1970, UTC
    checked  INTEGER           -- last write of doctor
) STRICT;

CREATE TABLE links (
    pipeline TEXT    NOT NULL,
    kind     TEXT    NOT NULL CHECK (kind IN ('user', 'group')),
    source   TEXT    NOT NULL CHECK (source <> ''),
    target   TEXT    NOT NULL CHECK (target <> ''),
    name     TEXT    NOT NULL, -- userName or displayName
    last     TEXT    NOT NULL, -- what was written last, as JSON; a group's members apart
    members  BLOB,             -- SCIM ids, each led by its length as a uvarint
    stuck    TEXT,             -- JSON
    gone     INTEGER,          -- since when the directory knows no such person, null while it does
    on_call  INTEGER,          -- since when the leaving is held because the person would be paged
    contested TEXT,            -- JSON: what another writer keeps turning back
    PRIMARY KEY (pipeline, kind, source)
) STRICT;

-- An object of the target stands for one person or group only.
CREATE UNIQUE INDEX links_target ON links (pipeline, kind, target);
CREATE INDEX links_name ON links (pipeline, lower(name));

CREATE TABLE cycles (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT    NOT NULL,
    started  INTEGER NOT NULL,
    finished INTEGER,
    rules    TEXT    NOT NULL DEFAULT '',
    planned  INTEGER NOT NULL DEFAULT 0,
    done     INTEGER NOT NULL DEFAULT 0,
    failed   INTEGER NOT NULL DEFAULT 0,
    held     INTEGER NOT NULL DEFAULT 0,
    skipped  INTEGER NOT NULL DEFAULT 0,
    error    TEXT    NOT NULL DEFAULT '',
    note     TEXT    NOT NULL DEFAULT '' -- what it was when it was no sync: "adopted by alice"
) STRICT;

CREATE INDEX cycles_started ON cycles (pipeline, started);

CREATE TABLE changes (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT    NOT NULL,
    cycle    INTEGER NOT NULL REFERENCES cycles (id),
    verb     TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    target   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    why      TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    fields   TEXT,             -- JSON: what each attribute was and became
    members  TEXT,             -- JSON: who joined or left the group, and why
    groups   TEXT,             -- JSON: the groups that a deactivated person was in
    spends   TEXT,             -- JSON: what it costs of the rolling day's allowance, by axis
    wanted   TEXT,             -- JSON: the values it leads to, kept while the change is open
    intended INTEGER NOT NULL,
    settled  INTEGER,
    took     INTEGER NOT NULL DEFAULT 0, -- microseconds
    outcome  TEXT,             -- null or 'unknown': open
    error    TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX changes_open   ON changes (pipeline, id) WHERE outcome IS NULL OR outcome = 'unknown';
CREATE INDEX changes_newest ON changes (pipeline, id);
CREATE INDEX changes_cycle  ON changes (cycle);
CREATE INDEX changes_spends ON changes (pipeline, settled) WHERE spends IS NOT NULL;
CREATE INDEX changes_time   ON changes (pipeline, intended);
CREATE INDEX changes_source ON changes (pipeline, source);
CREATE INDEX changes_name   ON changes (pipeline, lower(name));

-- Who joined or left by a change of members, for the history of one person.
CREATE TABLE change_people (
    pipeline TEXT    NOT NULL,
    person   TEXT    NOT NULL, -- the directory's id, or the SCIM id of somebody without one
    change   INTEGER NOT NULL REFERENCES changes (id) ON DELETE CASCADE,
    PRIMARY KEY (pipeline, person, change)
) STRICT, WITHOUT ROWID;

CREATE INDEX change_people_change ON change_people (change);

CREATE TABLE escrow (
    pipeline TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    verb     TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    next     INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    PRIMARY KEY (pipeline, kind, source)
) STRICT, WITHOUT ROWID;

-- Batches of losses that wait for a yes, that have one, and, until retention, those that were carried out. A row never
-- changes but for its approval and its use.
CREATE TABLE held_sets (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline    TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL CHECK (fingerprint <> ''),
    axis        TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    items       TEXT,             -- JSON
    cycle       INTEGER NOT NULL, -- that recorded it
    created     INTEGER NOT NULL,
    approved    INTEGER,
    approver    TEXT    NOT NULL DEFAULT '',
    used        INTEGER,
    used_in     INTEGER NOT NULL DEFAULT 0 -- the cycle that carried it out
) STRICT;

-- One approval is good for one use: a set that comes back after it was used waits anew.
CREATE UNIQUE INDEX held_sets_unused ON held_sets (pipeline, fingerprint) WHERE used IS NULL;
CREATE INDEX held_sets_used ON held_sets (pipeline, used) WHERE used IS NOT NULL;

-- Who and what undo restored: left as it is until unpinned.
CREATE TABLE pins (
    pipeline TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    source   TEXT    NOT NULL CHECK (source <> ''),
    target   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    cycle    INTEGER NOT NULL,
    pinned   INTEGER NOT NULL,
    PRIMARY KEY (pipeline, kind, source)
) STRICT, WITHOUT ROWID;

-- What the directory answered last, in the format of its first byte.
CREATE TABLE snapshots (
    pipeline TEXT    NOT NULL PRIMARY KEY,
    cycle    INTEGER NOT NULL,
    taken    INTEGER NOT NULL,
    data     BLOB    NOT NULL
) STRICT;

-- What other parts of the program keep from cycle to cycle, such as which notices were sent.
CREATE TABLE memories (
    pipeline TEXT NOT NULL,
    key      TEXT NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (pipeline, key)
) STRICT, WITHOUT ROWID;
