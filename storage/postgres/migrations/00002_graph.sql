-- Users, and who follows whom.

-- +goose Up

CREATE TABLE users (
    id      bigint      PRIMARY KEY,
    created timestamptz NOT NULL
);
-- Ids for users who bring none. It may lag behind the table: see CreateUser.
CREATE SEQUENCE user_ids;

-- The head of a follow set. Each change locks it, so that versions are given one
-- after the other.
CREATE TABLE viewers (
    viewer  bigint PRIMARY KEY,
    version bigint NOT NULL DEFAULT 0,
    count   bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

-- An edge. follower_hash is feed.UserID.Hash of the viewer with its first bit
-- flipped, so that the order of bigint is the order of the unsigned hash. Both
-- indexes hold all that their readers ask for: index-only.
CREATE TABLE follows (
    viewer        bigint NOT NULL,
    author        bigint NOT NULL,
    since         bigint NOT NULL,
    follower_hash bigint NOT NULL,
    PRIMARY KEY (viewer, author) INCLUDE (since)
);
CREATE UNIQUE INDEX followers ON follows (author, follower_hash);

-- The count of an author's followers is the sum of a few rows, since one row
-- would be a hot lock when everybody follows the same author.
CREATE TABLE follower_counts (
    author bigint   NOT NULL,
    slot   smallint NOT NULL,
    count  bigint   NOT NULL,
    PRIMARY KEY (author, slot)
) WITH (fillfactor = 80);

-- count_follower adds to a row that nobody is changing. Only when all are being
-- changed is there another, up to 16: most authors have one.
--
-- +goose StatementBegin
CREATE FUNCTION count_follower(p_author bigint, p_more bigint, p_hash bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE follower_counts SET count = count + p_more WHERE author = p_author AND slot = (
        SELECT slot FROM follower_counts WHERE author = p_author LIMIT 1 FOR UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO follower_counts AS c VALUES (p_author, p_hash & 15, p_more)
            ON CONFLICT (author, slot) DO UPDATE SET count = c.count + excluded.count;
    END IF;
END $$;
-- +goose StatementEnd

-- follow adds an edge and reports whether it was new. Under the lock of the head
-- each statement sees all that was committed before.
--
-- +goose StatementBegin
CREATE FUNCTION follow(p_viewer bigint, p_author bigint, p_hash bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    next bigint;
BEGIN
    INSERT INTO viewers (viewer) VALUES (p_viewer) ON CONFLICT DO NOTHING;
    SELECT version + 1 INTO next FROM viewers WHERE viewer = p_viewer FOR UPDATE;
    INSERT INTO follows VALUES (p_viewer, p_author, next, p_hash) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE viewers SET version = next, count = count + 1 WHERE viewer = p_viewer;
    PERFORM count_follower(p_author, 1, p_hash);
    RETURN true;
END $$;
-- +goose StatementEnd

-- unfollow removes an edge and reports whether it was there.
--
-- +goose StatementBegin
CREATE FUNCTION unfollow(p_viewer bigint, p_author bigint, p_hash bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM viewers WHERE viewer = p_viewer FOR UPDATE;
    DELETE FROM follows WHERE viewer = p_viewer AND author = p_author;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE viewers SET version = version + 1, count = count - 1 WHERE viewer = p_viewer;
    PERFORM count_follower(p_author, -1, p_hash);
    RETURN true;
END $$;
-- +goose StatementEnd
