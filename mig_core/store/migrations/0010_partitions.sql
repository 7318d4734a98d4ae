-- Commands by the week: what is old goes with its partition, not row by row. Nothing is copied: the table as it was becomes
-- the oldest partition. docs/database.md explains it.

-- Ids of commands are UUIDv7 of the moment of their fan-out, so a week of commands is a range of ids, and the primary key stays
-- what it was. All commands of an action are made at one moment: they lie in one partition, and between these two ids. (It rounds as
-- mig_uuid7 does.)
CREATE FUNCTION mig_least_id(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN rpad(lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid;

ALTER TABLE actions
    ADD COLUMN first_command uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD COLUMN last_command uuid NOT NULL DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff';
UPDATE actions a SET first_command = span.ids[1], last_command = span.ids[2]
  FROM (SELECT action_id, ARRAY[min(id::text), max(id::text)]::uuid[] AS ids FROM commands GROUP BY action_id) AS span
 WHERE a.id = span.action_id;
-- The sums of what is final are carried on while an action is under way, too.
UPDATE actions a
   SET final_counts = coalesce(sums.counts, '{}'), final_found = coalesce(sums.found, 0),
       final_partial = coalesce(sums.partial, 0)
  FROM actions x LEFT JOIN (
       SELECT action_id, jsonb_object_agg(state, number) AS counts, sum(found) AS found, sum(partial) AS partial
         FROM (SELECT action_id, state, count(*) AS number, count(*) FILTER (WHERE found) AS found,
                      count(*) FILTER (WHERE state = 'success' AND NOT complete) AS partial
                 FROM commands WHERE position IS NOT NULL GROUP BY action_id, state) AS by_state
        GROUP BY action_id) AS sums ON sums.action_id = x.id
 WHERE a.id = x.id AND a.state = 'inflight';

-- Commands that no relay has yet: a row is gone when one has it, or when the command is final.
CREATE TABLE unsent_commands (
    id uuid PRIMARY KEY,
    action_id uuid NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    leased_until timestamptz
) WITH (fillfactor = 70);
INSERT INTO unsent_commands (id, action_id, agent_id, leased_until)
SELECT id, action_id, agent_id, leased_until FROM commands WHERE state = 'queued';

ALTER TABLE commands RENAME TO commands_before;
DROP TRIGGER commands_move_forward ON commands_before;
-- Actions are deleted long before their commands' partition is, and agents with commands never: no foreign key looks after
-- that any more (each deleted agent would be looked for in all commands).
ALTER TABLE commands_before DROP CONSTRAINT commands_action_id_fkey, DROP CONSTRAINT commands_agent_id_fkey;
ALTER TABLE commands_before DROP COLUMN leased_until;
REVOKE ALL ON commands_before FROM mig_api, mig_scheduler, mig_reader;
DROP INDEX commands_queued, commands_open;
ALTER INDEX commands_pkey RENAME TO commands_before_pkey;
ALTER INDEX commands_by_agent RENAME TO commands_before_by_agent;
ALTER INDEX commands_by_position RENAME TO commands_before_by_position;

CREATE TABLE commands (LIKE commands_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)
    PARTITION BY RANGE (id);
ALTER TABLE commands ADD CONSTRAINT commands_pkey PRIMARY KEY (id);
-- Not by state: then a command that is sent changes no index.
CREATE INDEX commands_open ON commands (action_id, id) WHERE position IS NULL;
CREATE INDEX commands_by_name ON commands (action_id, agent_name, agent_id);
-- Each partition has two unique indexes of its own besides: commands_by_agent and commands_by_position of the table as it was. An
-- action's commands are in one partition, so what is unique there is unique everywhere.

-- The partitions, and which ids each of them takes.
CREATE TABLE commands_partitions (
    name text COLLATE "C" PRIMARY KEY,
    least uuid NOT NULL,
    beyond uuid NOT NULL
);

-- Makes the partition of a moment's week, unless there is one. Whoever fans out asks for it first, so it cannot be missing.
CREATE FUNCTION mig_commands_partition(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    week timestamptz := date_trunc('week', to_timestamp(round(extract(epoch FROM moment), 3)), 'UTC');
    name text := 'commands_' || to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD');
    low uuid := mig_least_id(week);
    high uuid := mig_least_id(week + interval '168 hours');
BEGIN
    IF EXISTS (SELECT FROM commands_partitions p
                WHERE p.least <= mig_least_id(moment) AND p.beyond > mig_least_id(moment)) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('mig_commands_partition'));
    IF EXISTS (SELECT FROM commands_partitions p
                WHERE p.least <= mig_least_id(moment) AND p.beyond > mig_least_id(moment)) THEN
        RETURN;
    END IF;
    -- Where the table as it was reaches into this week.
    SELECT greatest(low, max(p.beyond::text)::uuid) INTO low FROM commands_partitions p
     WHERE p.beyond > low AND p.beyond < high;
    low := coalesce(low, mig_least_id(week));
    EXECUTE format('CREATE TABLE %I (LIKE commands INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)'
                   ' WITH (fillfactor = 80)', name);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (action_id, agent_id)', name || '_by_agent', name);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (action_id, position) WHERE position IS NOT NULL',
                   name || '_by_position', name);
    EXECUTE format('ALTER TABLE commands ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, low, high);
    INSERT INTO commands_partitions VALUES (name, low, high);
END $$;

-- Drops one partition that ended before a moment, if no action is left that has commands in it; its name, or NULL: there is
-- none, or somebody reads commands at this moment (then a later try does it). Nobody waits for it longer than a fifth of a second.
CREATE FUNCTION mig_drop_commands(before timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    old commands_partitions;
BEGIN
    FOR old IN
        SELECT * FROM commands_partitions p WHERE p.beyond <= mig_least_id(before)
           AND NOT EXISTS (SELECT FROM actions a WHERE a.first_command < p.beyond AND a.last_command >= p.least
                              AND a.targeted > 0) ORDER BY p.least
    LOOP
        -- First the locks, then another look: nobody fans out into it any more.
        EXECUTE format('LOCK TABLE ONLY commands, %I IN ACCESS EXCLUSIVE MODE', old.name);
        CONTINUE WHEN EXISTS (
            SELECT FROM actions a WHERE a.first_command < old.beyond AND a.last_command >= old.least AND a.targeted > 0);
        EXECUTE format('DROP TABLE %I', old.name);
        DELETE FROM commands_partitions p WHERE p.name = old.name;
        RETURN old.name;
    END LOOP;
    RETURN NULL;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END $$;

-- The table as it was takes what is older than the end of this week, and than anything that it holds.
DO $$
DECLARE
    newest uuid := (SELECT max(id::text)::uuid FROM commands_before);
    bound uuid := mig_least_id(date_trunc('week', now(), 'UTC') + interval '168 hours');
BEGIN
    IF newest IS NULL THEN
        DROP TABLE commands_before;
    ELSE
        IF newest > mig_least_id(now() + interval '87600 hours') THEN
            bound := 'ffffffff-ffff-ffff-ffff-ffffffffffff';  -- no id of ours: where the next one lies cannot be said
        ELSIF newest >= bound THEN
            bound := mig_least_id(to_timestamp(('x' || left(replace(newest::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
                                  + interval '1 second');
        END IF;
        EXECUTE format('ALTER TABLE commands ATTACH PARTITION commands_before FOR VALUES FROM (MINVALUE) TO (%L)', bound);
        INSERT INTO commands_partitions VALUES ('commands_before', '00000000-0000-0000-0000-000000000000', bound);
    END IF;
    PERFORM mig_commands_partition(now());
    PERFORM mig_commands_partition(now() + interval '168 hours');
END $$;

CREATE TRIGGER commands_move_forward BEFORE UPDATE ON commands FOR EACH ROW
    WHEN (OLD.state NOT IN ('queued', 'sent') OR (OLD.state = 'sent' AND NEW.state = 'queued'))
    EXECUTE FUNCTION mig_refuse_backward();

-- Whichever program makes commands: what is queued is to be sent.
CREATE FUNCTION mig_note_unsent() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO unsent_commands (id, action_id, agent_id) SELECT id, action_id, agent_id FROM made WHERE state = 'queued';
    RETURN NULL;
END $$;
CREATE TRIGGER commands_are_to_be_sent AFTER INSERT ON commands REFERENCING NEW TABLE AS made FOR EACH STATEMENT
    EXECUTE FUNCTION mig_note_unsent();

REVOKE EXECUTE ON FUNCTION mig_least_id(timestamptz), mig_commands_partition(timestamptz), mig_drop_commands(timestamptz),
    mig_note_unsent() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mig_least_id(timestamptz) TO mig_api, mig_scheduler;
GRANT EXECUTE ON FUNCTION mig_commands_partition(timestamptz), mig_drop_commands(timestamptz) TO mig_scheduler;
GRANT SELECT (action_id, agent_id, state, found, complete, sent_at) ON commands TO mig_reader;
GRANT SELECT ON commands TO mig_api;
GRANT UPDATE (state, reason, finished_at, position) ON commands TO mig_api;
GRANT SELECT, INSERT, UPDATE ON commands TO mig_scheduler;
GRANT SELECT, DELETE ON unsent_commands TO mig_api;
GRANT SELECT, UPDATE, DELETE ON unsent_commands TO mig_scheduler;
GRANT SELECT ON commands_partitions TO mig_scheduler;
GRANT UPDATE (first_command, last_command) ON actions TO mig_scheduler;
