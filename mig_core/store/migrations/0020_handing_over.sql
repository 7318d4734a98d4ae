-- A fan-out that says so (the setting mig.unsent of its transaction) puts its commands among the unsent ones itself: claimed already by
-- the scheduler that made them and hands them over. For every other program that makes commands it is done here, as before.

CREATE OR REPLACE FUNCTION mig_note_unsent() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('mig.unsent', true) IS DISTINCT FROM 'noted' THEN
        INSERT INTO unsent_commands (id, action_id, agent_id) SELECT id, action_id, agent_id FROM made WHERE state = 'queued';
    END IF;
    RETURN NULL;
END $$;
