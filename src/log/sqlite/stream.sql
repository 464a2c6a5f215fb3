-- What a node of a cluster keeps beside its log: where the texts of what is there lie in their
-- stream, and those that are to be erased there. Nothing of it is asked for by requests: a row that
-- is damaged leaves a text to the sweep.
CREATE TABLE IF NOT EXISTS stream_texts (
    seq INTEGER PRIMARY KEY,
    id INTEGER NOT NULL,
    -- For an answer that told of nothing that goes: when it is forgotten.
    until INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS stream_texts_by_id ON stream_texts (id);
CREATE INDEX IF NOT EXISTS stream_texts_by_end ON stream_texts (until) WHERE until IS NOT NULL;
CREATE TABLE IF NOT EXISTS stream_trash (seq INTEGER PRIMARY KEY) STRICT;

CREATE TRIGGER IF NOT EXISTS message_goes AFTER DELETE ON messages BEGIN
    INSERT OR IGNORE INTO stream_trash SELECT seq FROM stream_texts WHERE id = OLD.id;
    DELETE FROM stream_texts WHERE id = OLD.id;
END;
CREATE TRIGGER IF NOT EXISTS row_goes AFTER DELETE ON rows BEGIN
    INSERT OR IGNORE INTO stream_trash SELECT seq FROM stream_texts WHERE id = OLD.id;
    DELETE FROM stream_texts WHERE id = OLD.id;
END;
