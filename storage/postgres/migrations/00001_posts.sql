-- Posts, their events, the idempotency keys, and the leases of id time.

-- +goose Up

-- The text is bytes and not text, since a post may hold what PostgreSQL's text
-- may not (U+0000), and since bytes do not depend on the database's encoding.
-- The time of a post is in its id.
CREATE TABLE posts (
    id      bigint PRIMARY KEY,
    author  bigint NOT NULL,
    text    bytea  NOT NULL,
    payload bytea  NOT NULL
);
-- Both columns that Newest reads: index-only.
CREATE INDEX posts_by_author ON posts (author, id DESC);

-- A queue: rows come at one end and go at the other. Vacuumed early, so that
-- whoever looks for the least id does not walk over the dead ones.
CREATE TABLE outbox (
    post   bigint PRIMARY KEY,
    author bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- An idempotency key: key is a hash of the request id, content one of what was
-- posted. The age of a key is that of its post, which stays when that is deleted.
CREATE TABLE requests (
    author  bigint NOT NULL,
    key     bytea  NOT NULL,
    post    bigint NOT NULL,
    content bytea  NOT NULL,
    PRIMARY KEY (author, key)
);
CREATE INDEX requests_by_age ON requests (post);

-- Until when the id time of each node has been granted.
CREATE TABLE leases (
    node  smallint    PRIMARY KEY CHECK (node BETWEEN 0 AND 1023),
    until timestamptz NOT NULL
);
INSERT INTO leases SELECT node, '-infinity' FROM generate_series(0, 1023) AS node;

-- create_post writes a post, its event and its key, in one transaction and one
-- round trip. It returns the post that the key stands for, and whether its
-- content is the same. Its order matters:
--
--   1. The key. Of two calls with the same one the second waits here, for the
--      first to commit, and holds nobody back meanwhile.
--   2. The rows.
--   3. The lock, under which oldest_event sees the post from now on. The server
--      releases it after the commit has become visible.
--   4. The last look at the id's age (W4). Late: everything is undone.
--
-- +goose StatementBegin
CREATE FUNCTION create_post(
    p_id bigint, p_author bigint, p_text bytea, p_payload bytea,
    p_key bytea, p_content bytea, p_deadline timestamptz,
    OUT post bigint, OUT same boolean
) LANGUAGE plpgsql AS $$
BEGIN
    WHILE p_key IS NOT NULL LOOP
        INSERT INTO requests AS r VALUES (p_author, p_key, p_id, p_content) ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        SELECT r.post, r.content = p_content INTO post, same
            FROM requests AS r WHERE r.author = p_author AND r.key = p_key;
        IF FOUND THEN
            RETURN;
        END IF; -- else it expired between the two: again
    END LOOP;
    INSERT INTO posts VALUES (p_id, p_author, p_text, p_payload);
    INSERT INTO outbox VALUES (p_id, p_author);
    PERFORM pg_advisory_xact_lock_shared(-p_id);
    IF clock_timestamp() > p_deadline THEN
        RAISE EXCEPTION 'post id % is too old to commit', p_id USING ERRCODE = 'SK001';
    END IF;
    post := p_id;
    same := true;
END $$;
-- +goose StatementEnd

-- oldest_event returns the least post of the outbox, and of those whose
-- create_post looks at the id's age for the last time or commits; null for none.
-- The locks are read before the outbox, and each by a statement with a snapshot
-- of its own: a post that commits in between is in the second, and one that
-- begins its last look after the first is too young to matter. The other way
-- round, or in one statement, a commit would be in neither.
--
-- +goose StatementBegin
CREATE FUNCTION oldest_event() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    writing bigint;
    waiting bigint;
BEGIN
    -- A lock on -id shows as the halves of a negative number.
    SELECT min(-((classid::bigint << 32) | objid::bigint)) INTO writing
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >= 1::bigint << 31
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    SELECT min(outbox.post) INTO waiting FROM outbox;
    RETURN least(writing, waiting);
END $$;
-- +goose StatementEnd
