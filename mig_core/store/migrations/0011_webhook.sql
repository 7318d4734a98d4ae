-- Ends of actions that are told to a webhook, each by one scheduler at a time, and tried again a few times.

ALTER TABLE actions
    ADD COLUMN announced_at timestamptz,
    ADD COLUMN announce_tries smallint NOT NULL DEFAULT 0,
    ADD COLUMN announce_after timestamptz;
CREATE INDEX actions_unannounced ON actions (finished_at) WHERE announced_at IS NULL AND finished_at IS NOT NULL;
GRANT UPDATE (announced_at, announce_tries, announce_after) ON actions TO mig_scheduler;

-- As in 0009, but only in the partition that has the action's commands.
CREATE OR REPLACE FUNCTION mig_measure_action() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO latencies_fresh
    SELECT 'first', greatest(0, extract(epoch FROM finished_at - queued_at)) FROM
        (SELECT finished_at, queued_at FROM commands WHERE action_id = NEW.id AND position IS NOT NULL
            AND id BETWEEN NEW.first_command AND NEW.last_command
            AND state NOT IN ('expired', 'cancelled') ORDER BY position LIMIT 1) answered
    UNION ALL
    SELECT 'last', greatest(0, extract(epoch FROM finished_at - queued_at)) FROM
        (SELECT finished_at, queued_at FROM commands WHERE action_id = NEW.id AND position IS NOT NULL
            AND id BETWEEN NEW.first_command AND NEW.last_command
            AND state NOT IN ('expired', 'cancelled') ORDER BY position DESC LIMIT 1) answered;
    RETURN NULL;
END $$;
