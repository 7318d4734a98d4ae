-- Nobody stalls the others: what arrives is bounded, what cannot be recorded is set aside, a relay's trouble is told.

-- Messages of agents that cannot be recorded, whoever carried them; an operator looks at them (mig-admin set-aside).
CREATE TABLE set_aside (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relay text NOT NULL,
    kind text NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    size integer NOT NULL,
    -- NULL: too much lay here already when it came.
    body bytea,
    set_aside_at timestamptz NOT NULL
);

-- Pieces of messages that are still being uploaded. A message is put together, and moves on, with its last piece.
CREATE TABLE relay_pieces (
    agent_id text COLLATE "C" NOT NULL,
    upload text COLLATE "C" NOT NULL,
    piece integer NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (agent_id, upload, piece)
);
ALTER TABLE relay_pieces ALTER COLUMN body SET STORAGE EXTERNAL;

ALTER TABLE relay_inbound ADD COLUMN encoding text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE relay_inbound ADD COLUMN received_at timestamptz NOT NULL DEFAULT now();

-- What schedulers say of their relays; empty problem: all is well.
CREATE TABLE relay_states (
    relay text COLLATE "C" PRIMARY KEY,
    problem text NOT NULL,
    since timestamptz NOT NULL,
    said_at timestamptz NOT NULL
);

-- What waits on the endpoint, as its heartbeats say: answers, bytes, the oldest, the disk. Not for targets.
ALTER TABLE agents ADD COLUMN spool jsonb NOT NULL DEFAULT '{}';

-- Who enrolled without the secret and was not approved is forgotten when it asks no more.
CREATE INDEX agents_pending ON agents (enrolment_sent_at) WHERE status = 'pending';
CREATE FUNCTION mig_forget_pending(before timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH forgotten AS (
        DELETE FROM agents WHERE status = 'pending' AND enrolment_sent_at < before RETURNING id
    )
    SELECT count(*) FROM forgotten
$$;

REVOKE EXECUTE ON FUNCTION mig_forget_pending(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mig_forget_pending(timestamptz) TO mig_api, mig_scheduler;
GRANT SELECT, INSERT, DELETE ON set_aside TO mig_scheduler;
GRANT SELECT (id, relay, kind, agent_id, reason, size, set_aside_at) ON set_aside TO mig_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON relay_pieces TO mig_api;
GRANT SELECT, DELETE ON relay_pieces TO mig_scheduler;
GRANT SELECT, INSERT, UPDATE ON relay_states TO mig_scheduler;
GRANT SELECT ON relay_states TO mig_api;
GRANT SELECT (spool), UPDATE (spool) ON agents TO mig_scheduler;
