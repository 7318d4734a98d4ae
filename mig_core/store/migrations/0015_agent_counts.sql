-- How many agents there are of each kind, carried on with every change, so that the dashboard need not look at all of them.

CREATE TABLE agent_counts (
    status text COLLATE "C" NOT NULL,
    -- Of those that are online; of others nobody asks.
    version text COLLATE "C" NOT NULL,
    spool_full boolean NOT NULL,
    answers_lost boolean NOT NULL,
    -- Its name is another agent's.
    renamed boolean NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (status, version, spool_full, answers_lost, renamed)
);
-- What has changed since. Rows are only added, so that nobody who changes an agent waits for another; schedulers fold them
-- into the counts from time to time.
CREATE TABLE agent_counts_fresh (LIKE agent_counts);

CREATE FUNCTION mig_agent_kind(one agents) RETURNS agent_counts LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ROW(one.status, CASE WHEN one.status = 'online' THEN one.version ELSE '' END,
           coalesce(one.spool->'full' = 'true', false),
           coalesce(jsonb_typeof(one.spool->'lost') = 'array' AND one.spool->'lost' <> '[]', false),
           one.shown_name <> one.name, 1)::agent_counts;

CREATE FUNCTION mig_count_agent() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kind agent_counts;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        kind := mig_agent_kind(OLD);
        kind.number := -1;
        INSERT INTO agent_counts_fresh SELECT kind.*;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO agent_counts_fresh SELECT (mig_agent_kind(NEW)).*;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER agents_are_counted AFTER INSERT OR DELETE ON agents FOR EACH ROW EXECUTE FUNCTION mig_count_agent();
CREATE TRIGGER agents_changes_are_counted AFTER UPDATE ON agents FOR EACH ROW
    WHEN ((OLD.status, OLD.version, OLD.shown_name <> OLD.name, OLD.spool->'full', OLD.spool->'lost')
          IS DISTINCT FROM (NEW.status, NEW.version, NEW.shown_name <> NEW.name, NEW.spool->'full', NEW.spool->'lost'))
    EXECUTE FUNCTION mig_count_agent();

-- Folds what is fresh into the counts.
CREATE FUNCTION mig_fold_agent_counts() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(x'4D494741'::int) THEN
        RETURN;  -- another scheduler is at it
    END IF;
    WITH taken AS (DELETE FROM agent_counts_fresh RETURNING *)
    INSERT INTO agent_counts AS counted
    SELECT status, version, spool_full, answers_lost, renamed, sum(number) FROM taken GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT (status, version, spool_full, answers_lost, renamed)
        DO UPDATE SET number = counted.number + excluded.number;
    DELETE FROM agent_counts WHERE number = 0;
END $$;

-- Counts all agents, and adds what the counts are short of: should somebody have changed agents without the triggers. All of it is
-- one statement, so it sees agents and counts at one moment. Says how many kinds were wrong.
CREATE FUNCTION mig_recount_agents() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH there AS (
        SELECT (mig_agent_kind(a)).* FROM agents a
    ), counted AS (
        SELECT status, version, spool_full, answers_lost, renamed, number FROM there
        UNION ALL SELECT status, version, spool_full, answers_lost, renamed, -number FROM agent_counts
        UNION ALL SELECT status, version, spool_full, answers_lost, renamed, -number FROM agent_counts_fresh
    ), added AS (
        INSERT INTO agent_counts_fresh
        SELECT status, version, spool_full, answers_lost, renamed, sum(number) FROM counted
         GROUP BY 1, 2, 3, 4, 5 HAVING sum(number) <> 0 RETURNING 1
    )
    SELECT count(*) FROM added
$$;
SELECT mig_recount_agents();
SELECT mig_fold_agent_counts();

-- For the same: rare, and counted by when it was.
CREATE INDEX agents_two_sessions ON agents (two_sessions_at) WHERE two_sessions_at IS NOT NULL;
CREATE INDEX agents_ledger_back ON agents (ledger_back_at) WHERE ledger_back_at IS NOT NULL;

REVOKE EXECUTE ON FUNCTION mig_agent_kind(agents), mig_count_agent(), mig_fold_agent_counts(), mig_recount_agents() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mig_fold_agent_counts(), mig_recount_agents() TO mig_scheduler;
GRANT SELECT ON agent_counts, agent_counts_fresh TO mig_api, mig_scheduler;
