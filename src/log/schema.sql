-- Texts and other erasable things are rows; the facts in the log never hold them.
-- `sum`, and whatever ends with it, is a checksum: sums.rs says of which columns.
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY, sum INTEGER) STRICT, WITHOUT ROWID;

-- The log. `body` is a record as JSON.
CREATE TABLE facts (pos INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, sum INTEGER)
    STRICT;

-- Who may see a fact's event: a chat's id, or a user's id negated.
CREATE TABLE audience (who INTEGER NOT NULL, pos INTEGER NOT NULL, PRIMARY KEY (who, pos))
    STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    chat INTEGER NOT NULL,
    author INTEGER NOT NULL,
    addressee INTEGER,
    at INTEGER NOT NULL,
    ends INTEGER,
    fuse INTEGER,
    riders TEXT,
    text TEXT NOT NULL,
    sum INTEGER,
    ends_sum INTEGER
) STRICT;
-- The author is in the index so that unread counts need no look at the messages.
CREATE INDEX messages_by_chat ON messages (chat, id, author);
CREATE INDEX messages_by_end ON messages (ends) WHERE ends IS NOT NULL;

-- Who was in which chat, from the fact that let them in to the one that let them out (none while
-- they are in); the common chat needs no row, everyone is in it from their first fact on.
CREATE TABLE members (
    user INTEGER NOT NULL,
    chat INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    sum INTEGER,
    until_sum INTEGER,
    PRIMARY KEY (user, chat, since)
) STRICT, WITHOUT ROWID;

-- What features keep, beside a message or by itself.
CREATE TABLE rows (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    message INTEGER,
    author INTEGER,
    at INTEGER NOT NULL,
    fact TEXT NOT NULL,
    text TEXT,
    object TEXT,
    sum INTEGER,
    -- The message that it is a mark on; negated, once it is taken back. Such a row lies beside none.
    marks INTEGER,
    marks_sum INTEGER
) STRICT;
CREATE INDEX rows_by_message ON rows (message, owner, id);
CREATE UNIQUE INDEX rows_by_object ON rows (object) WHERE object IS NOT NULL;
-- Who has marked a message with what, with no look at the rows.
CREATE INDEX rows_by_mark ON rows (marks, owner, text, id, author) WHERE marks IS NOT NULL;
CREATE INDEX rows_by_marker ON rows (marks, author) WHERE marks IS NOT NULL;

-- Which rows a message, or another row, holds: such a row goes when nothing holds it any more.
-- The chat is the message's: whether somebody sees a row is asked by their chats.
CREATE TABLE held (
    holder INTEGER NOT NULL,
    row INTEGER NOT NULL,
    chat INTEGER,
    sum INTEGER,
    PRIMARY KEY (holder, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_by_row ON held (row, chat, holder);

-- Where each feature keeps its objects, so that they can be deleted without it.
CREATE TABLE stores (owner TEXT PRIMARY KEY, place TEXT NOT NULL, sum INTEGER) STRICT, WITHOUT ROWID;

-- Objects whose rows are gone, until they are deleted.
CREATE TABLE trash (object TEXT PRIMARY KEY, owner TEXT NOT NULL, sum INTEGER) STRICT, WITHOUT ROWID;

-- Answers kept for repeated requests; none where what was made is gone.
CREATE TABLE keys (
    user INTEGER NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    digest TEXT NOT NULL,
    made INTEGER,
    answer TEXT,
    sum INTEGER,
    answer_sum INTEGER,
    PRIMARY KEY (user, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_time ON keys (at);
CREATE INDEX keys_by_made ON keys (made) WHERE made IS NOT NULL;

-- A snapshot is whole once `meta` names it.
CREATE TABLE snapshots (pos INTEGER NOT NULL, part INTEGER NOT NULL, body BLOB NOT NULL,
    sum INTEGER, PRIMARY KEY (pos, part)) STRICT;
