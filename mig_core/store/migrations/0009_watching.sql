-- What operators watch: how long messages wait, and how long answers take.

-- When it came; the oldest says how far schedulers are behind.
ALTER TABLE relay_inbound ADD COLUMN put_at timestamptz NOT NULL DEFAULT now();

-- Seconds from a question's way to its first and to its last answer. Rows are only added, so that no action's end waits
-- for another's; schedulers fold them into the sums of each bucket from time to time.
CREATE TABLE latencies_fresh (
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('first', 'last')),
    seconds double precision NOT NULL
);
CREATE TABLE latencies (
    kind text COLLATE "C" NOT NULL,
    -- The bucket's upper bound; not cumulative.
    le double precision NOT NULL,
    count bigint NOT NULL DEFAULT 0,
    seconds double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, le)
);
INSERT INTO latencies (kind, le)
SELECT kind, le FROM unnest('{first,last}'::text[]) kind,
    unnest('{0.1,0.25,0.5,1,2.5,5,10,30,60,300,1800,7200,Infinity}'::double precision[]) le;

CREATE FUNCTION mig_measure_action() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO latencies_fresh
    SELECT 'first', greatest(0, extract(epoch FROM finished_at - queued_at)) FROM
        (SELECT finished_at, queued_at FROM commands WHERE action_id = NEW.id AND position IS NOT NULL
            AND state NOT IN ('expired', 'cancelled') ORDER BY position LIMIT 1) answered
    UNION ALL
    SELECT 'last', greatest(0, extract(epoch FROM finished_at - queued_at)) FROM
        (SELECT finished_at, queued_at FROM commands WHERE action_id = NEW.id AND position IS NOT NULL
            AND state NOT IN ('expired', 'cancelled') ORDER BY position DESC LIMIT 1) answered;
    RETURN NULL;
END $$;
CREATE TRIGGER actions_are_measured AFTER UPDATE OF finished_at ON actions FOR EACH ROW
    WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL AND NEW.targeted > 0)
    EXECUTE FUNCTION mig_measure_action();

CREATE FUNCTION mig_fold_latencies() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(x'4D49474D'::int) THEN
        RETURN;  -- another scheduler is at it
    END IF;
    WITH taken AS (DELETE FROM latencies_fresh RETURNING kind, seconds),
         sums AS (SELECT t.kind, b.le, count(*) AS count, sum(t.seconds) AS seconds FROM taken t
                  CROSS JOIN LATERAL (SELECT min(l.le) AS le FROM latencies l
                                       WHERE l.kind = t.kind AND l.le >= t.seconds) b GROUP BY 1, 2)
    UPDATE latencies l SET count = l.count + s.count, seconds = l.seconds + s.seconds
      FROM sums s WHERE (l.kind, l.le) = (s.kind, s.le);
END $$;

REVOKE EXECUTE ON FUNCTION mig_measure_action(), mig_fold_latencies() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mig_fold_latencies() TO mig_scheduler;
GRANT SELECT ON latencies, latencies_fresh TO mig_api;
