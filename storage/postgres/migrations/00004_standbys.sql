-- What was found is as durable as what was written. Safe while others write.

-- +goose Up

-- await_standbys makes the commit of its transaction wait for the disk and the
-- synchronous standbys, as one that changed something does, and so for all that
-- was visible before. A transaction id alone would not do: PostgreSQL waits for
-- those who have one and wrote to its log too. The message is the least that can
-- be written; nobody reads it.
--
-- +goose StatementBegin
CREATE FUNCTION await_standbys() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_logical_emit_message(true, 'skein', '');
END $$;
-- +goose StatementEnd

-- create_post as before, but for one line: a call that finds its key awaits the
-- standbys. The first call's wait may have been cut short, which made the post
-- visible on this server alone.
--
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION create_post(
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
            PERFORM await_standbys();
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
