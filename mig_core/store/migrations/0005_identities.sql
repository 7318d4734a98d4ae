-- Nobody is taken for somebody else: who holds which name, which agents speak with two voices, and what happened to each.

-- Names as they are held: one agent each, without regard to case. An agent whose name another holds, or that cannot be told
-- from another at a glance, is shown as name~id.
CREATE TABLE agent_names (
    key text COLLATE "C" PRIMARY KEY,
    -- An agent's name is claimed a moment before its row is there.
    agent_id text COLLATE "C" NOT NULL UNIQUE REFERENCES agents ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);

-- What happened to an agent; the newest hundred of each.
CREATE TABLE agent_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent_id text COLLATE "C" NOT NULL REFERENCES agents ON DELETE CASCADE,
    kind text COLLATE "C" NOT NULL,
    detail text NOT NULL,
    happened_at timestamptz NOT NULL
);
CREATE INDEX agent_events_of_agent ON agent_events (agent_id, id);

ALTER TABLE agents
    ADD COLUMN shown_name text COLLATE "C" NOT NULL DEFAULT '',
    -- The process whose heartbeats the present one's replaced.
    ADD COLUMN previous_started_at timestamptz,
    ADD COLUMN previous_pid bigint,
    ADD COLUMN two_sessions_at timestamptz,
    ADD COLUMN ledger_back_at timestamptz;

-- The process that an agent of the https relay receives with, and the one before it. Two that take turns are two.
CREATE TABLE relay_sessions (
    agent_id text COLLATE "C" PRIMARY KEY,
    session text COLLATE "C" NOT NULL,
    previous text COLLATE "C",
    returns integer NOT NULL DEFAULT 0,
    returned_at timestamptz,
    -- Set while two take turns: the one that receives nothing, and when the other was last there.
    rival text COLLATE "C",
    kept_at timestamptz
);

CREATE FUNCTION mig_agent_event(agent text, what text, detail text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO agent_events (agent_id, kind, detail, happened_at) VALUES (agent, what, detail, now());
    DELETE FROM agent_events WHERE agent_id = agent AND id <= (
        SELECT id FROM agent_events WHERE agent_id = agent ORDER BY id DESC OFFSET 100 LIMIT 1);
    INSERT INTO counters (name, value) VALUES ('agent.' || what, 1)
        ON CONFLICT (name) DO UPDATE SET value = counters.value + 1;
$$;

-- By what two names are the same; NULL for one that nobody can hold: it has other characters than printable ASCII, a ~, or
-- spaces that do not show.
CREATE FUNCTION mig_name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(name) <= 255 AND name COLLATE "C" ~ '^[!-}]+( [!-}]+)*$' THEN lower(name COLLATE "C") END;

CREATE FUNCTION mig_claim_name() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wanted text := mig_name_key(NEW.name);
    approved boolean := NEW.status IN ('online', 'idle', 'offline');
    held boolean := false;
BEGIN
    IF TG_OP = 'UPDATE' AND (NOT approved OR wanted IS DISTINCT FROM mig_name_key(OLD.name)) THEN
        DELETE FROM agent_names WHERE agent_id = NEW.id;
    END IF;
    IF approved AND wanted IS NOT NULL THEN
        INSERT INTO agent_names (key, agent_id) VALUES (wanted, NEW.id) ON CONFLICT DO NOTHING;
        held := EXISTS (SELECT FROM agent_names WHERE key = wanted AND agent_id = NEW.id);
    END IF;
    NEW.shown_name := NEW.name || CASE WHEN held THEN '' ELSE '~' || NEW.id END;
    IF TG_OP = 'UPDATE' AND approved AND OLD.status IN ('online', 'idle', 'offline')
       AND NEW.shown_name <> OLD.shown_name THEN
        PERFORM mig_agent_event(NEW.id, 'name_changed', OLD.shown_name || ' -> ' || NEW.shown_name);
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION mig_note_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.started_at = OLD.previous_started_at AND NEW.pid = OLD.previous_pid THEN
        NEW.two_sessions_at := now();
        IF OLD.two_sessions_at IS NULL OR OLD.two_sessions_at < now() - interval '1 hour' THEN
            PERFORM mig_agent_event(NEW.id, 'two_sessions', format(
                'two processes send heartbeats: number %s, begun at %s, and number %s, begun at %s',
                OLD.pid, OLD.started_at, NEW.pid, NEW.started_at));
        END IF;
    END IF;
    NEW.previous_started_at := OLD.started_at;
    NEW.previous_pid := OLD.pid;
    RETURN NEW;
END $$;

-- The same, seen by a heartbeat that changes nothing: it is older than the newest, and of neither the present process nor the
-- one before it.
CREATE FUNCTION mig_stale_session(agent text, begun timestamptz, process bigint, at timestamptz, lately timestamptz)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found agents;
BEGIN
    SELECT * INTO found FROM agents
     WHERE id = agent AND status IN ('online', 'idle', 'offline') AND (two_sessions_at IS NULL OR two_sessions_at < lately)
       AND (started_at, pid) IS DISTINCT FROM (begun, process) AND previous_started_at IS NOT NULL
       AND (previous_started_at, previous_pid) IS DISTINCT FROM (begun, process)
       FOR UPDATE;
    IF found.id IS NULL THEN
        RETURN;
    END IF;
    UPDATE agents SET two_sessions_at = at WHERE id = agent;
    IF found.two_sessions_at IS NULL OR found.two_sessions_at < at - interval '1 hour' THEN
        PERFORM mig_agent_event(agent, 'two_sessions', format(
            'two processes send heartbeats: number %s, begun at %s, and number %s, begun at %s',
            found.pid, found.started_at, process, begun));
    END IF;
END $$;

CREATE FUNCTION mig_note_ledger() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.ledger_back_at IS NULL OR OLD.ledger_back_at < now() - interval '1 hour' THEN
        PERFORM mig_agent_event(NEW.id, 'ledger_went_back', format(
            'its ledger had %s lines and has %s: an older copy of its state, or another machine''s',
            OLD.statistics->>'ledger_entries', NEW.statistics->>'ledger_entries'));
    END IF;
    NEW.ledger_back_at := now();
    RETURN NEW;
END $$;

-- Whether a process of an agent of the https relay may receive now. The newest takes over, as after a restart; of two that
-- take turns the one that is back keeps the queue, and the other gets it when that one has been silent.
CREATE FUNCTION mig_relay_session(agent text, asking text, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found relay_sessions;
    -- Longer than a poll takes, with the pause after it.
    patience CONSTANT interval := '75 seconds';
BEGIN
    INSERT INTO relay_sessions (agent_id, session) VALUES (agent, asking) ON CONFLICT DO NOTHING;
    SELECT * INTO found FROM relay_sessions WHERE agent_id = agent FOR UPDATE;
    IF found.session = asking THEN
        IF found.rival IS NOT NULL AND found.kept_at < at - interval '20 seconds' THEN
            UPDATE relay_sessions SET kept_at = at WHERE agent_id = agent;
        END IF;
        RETURN true;
    END IF;
    IF found.rival = asking AND found.kept_at > at - patience THEN
        UPDATE agents SET two_sessions_at = now() WHERE id = agent AND two_sessions_at < now() - interval '5 minutes';
        RETURN false;
    END IF;
    IF found.previous IS DISTINCT FROM asking OR found.rival = asking THEN
        UPDATE relay_sessions SET session = asking, previous = found.session, rival = NULL, kept_at = NULL,
               returns = 0, returned_at = NULL WHERE agent_id = agent;
        RETURN true;
    END IF;
    -- Who was replaced is back. Once may be a request that was long under way; twice are two processes.
    IF found.returns = 0 OR found.returned_at < at - interval '10 minutes' THEN
        UPDATE relay_sessions SET session = asking, previous = found.session, returns = 1, returned_at = at
         WHERE agent_id = agent;
        RETURN true;
    END IF;
    UPDATE relay_sessions SET session = asking, previous = found.session, returns = returns + 1, returned_at = at,
           rival = found.session, kept_at = at WHERE agent_id = agent;
    UPDATE agents SET two_sessions_at = now() WHERE id = agent;
    PERFORM mig_agent_event(id, 'two_sessions', 'two processes take turns in receiving over the https relay')
       FROM agents WHERE id = agent;
    RETURN true;
END $$;

-- Who is known already: of several with one name the first that enrolled holds it.
INSERT INTO agent_names (key, agent_id)
SELECT DISTINCT ON (mig_name_key(name)) mig_name_key(name), id FROM agents
 WHERE status IN ('online', 'idle', 'offline') AND mig_name_key(name) IS NOT NULL
 ORDER BY mig_name_key(name), enrolled_at, id;
UPDATE agents SET shown_name = name || CASE
    WHEN EXISTS (SELECT FROM agent_names WHERE agent_names.agent_id = agents.id) THEN '' ELSE '~' || id END;

CREATE TRIGGER agents_enrol_with_a_name BEFORE INSERT ON agents FOR EACH ROW EXECUTE FUNCTION mig_claim_name();
CREATE TRIGGER agents_claim_their_name BEFORE UPDATE OF name, status ON agents FOR EACH ROW
    WHEN (NEW.name IS DISTINCT FROM OLD.name
          OR (NEW.status IN ('pending', 'retired')) IS DISTINCT FROM (OLD.status IN ('pending', 'retired'))
          OR (NEW.shown_name IS DISTINCT FROM NEW.name AND NEW.status NOT IN ('pending', 'retired')))
    EXECUTE FUNCTION mig_claim_name();
CREATE TRIGGER agents_speak_with_one_voice BEFORE UPDATE OF started_at, pid ON agents FOR EACH ROW
    WHEN ((NEW.started_at, NEW.pid) IS DISTINCT FROM (OLD.started_at, OLD.pid))
    EXECUTE FUNCTION mig_note_session();
CREATE TRIGGER agents_ledgers_grow BEFORE UPDATE OF statistics ON agents FOR EACH ROW
    WHEN ((NEW.statistics->'ledger_entries')::numeric < (OLD.statistics->'ledger_entries')::numeric)
    EXECUTE FUNCTION mig_note_ledger();

REVOKE EXECUTE ON FUNCTION mig_agent_event(text, text, text), mig_claim_name(), mig_note_session(), mig_note_ledger(),
    mig_relay_session(text, text, timestamptz),
    mig_stale_session(text, timestamptz, bigint, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mig_relay_session(text, text, timestamptz) TO mig_api;
GRANT SELECT, DELETE ON relay_sessions TO mig_api, mig_scheduler;
GRANT SELECT ON agent_events TO mig_api;
GRANT EXECUTE ON FUNCTION mig_stale_session(text, timestamptz, bigint, timestamptz, timestamptz) TO mig_scheduler;
GRANT SELECT (shown_name, two_sessions_at) ON agents TO mig_scheduler;
