-- Which answers of an action found something, or are no success: of a hundred thousand usually a handful, and what people ask for
-- first. Only such answers write to it. Partitions that have ended do without: making it there would read all that is in them.

-- As in 0010, with one index more.
CREATE OR REPLACE FUNCTION mig_commands_partition(moment timestamptz) RETURNS void
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
    EXECUTE format('CREATE INDEX %I ON %I (action_id, agent_name, agent_id)'
                   ' WHERE found OR (position IS NOT NULL AND state <> ''success'')', name || '_notable', name);
    EXECUTE format('ALTER TABLE commands ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, low, high);
    INSERT INTO commands_partitions VALUES (name, low, high);
END $$;

DO $$
DECLARE
    part text;
BEGIN
    FOR part IN SELECT p.name FROM commands_partitions p WHERE p.beyond > mig_least_id(now()) LOOP
        EXECUTE format('CREATE INDEX %I ON %I (action_id, agent_name, agent_id)'
                       ' WHERE found OR (position IS NOT NULL AND state <> ''success'')', part || '_notable', part);
    END LOOP;
END $$;
