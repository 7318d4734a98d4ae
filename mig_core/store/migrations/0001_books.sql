-- The books, version 1. docs/database.md explains the tables and who may do what.
--
-- Applied by mig_core/store/migrate.py as the owner of the database, in one transaction. The group roles mig_api,
-- mig_scheduler and mig_reader exist already (mig_core/store/roles.py). Never change this file: add the next one.
-- Texts that are compared or sorted have collation "C": the order of code points, the same on every server and in Python.

REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- A UUIDv7 (RFC 9562 section 5.7) without needing PostgreSQL 18: a random version 4 id whose first 48 bits become the
-- milliseconds of the moment and whose version digit becomes 7.
CREATE FUNCTION mig_uuid7(moment timestamptz) RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
        || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid;

-- Who may log in -----------------------------------------------------------------------------------------------------

CREATE TABLE investigators (
    fingerprint text COLLATE "C" PRIMARY KEY CHECK (fingerprint ~ '^[0-9A-F]{40}$'),
    name text COLLATE "C" NOT NULL,
    public_key bytea NOT NULL,
    permissions text[] NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE login_nonces (
    digest bytea PRIMARY KEY,
    expires timestamptz NOT NULL
);

CREATE TABLE sessions (
    digest bytea PRIMARY KEY,
    fingerprint text COLLATE "C" NOT NULL REFERENCES investigators ON DELETE CASCADE,
    expires timestamptz NOT NULL
);
CREATE INDEX sessions_by_investigator ON sessions (fingerprint);

-- Agents -------------------------------------------------------------------------------------------------------------

CREATE TABLE agents (
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z2-7]{32}$'),
    name text COLLATE "C" NOT NULL,
    public_key bytea NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('pending', 'online', 'idle', 'offline', 'retired')),
    relay text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    pid bigint NOT NULL,
    environment jsonb NOT NULL,
    tags jsonb NOT NULL,
    addresses inet[] NOT NULL,
    modules text[] NOT NULL,
    failures jsonb NOT NULL,
    statistics jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz,
    heartbeat_at timestamptz,
    enrolled_at timestamptz NOT NULL,
    enrolment_sent_at timestamptz NOT NULL,
    heartbeat_sequence bigint NOT NULL DEFAULT -1,
    token_digest bytea,
    admitted boolean NOT NULL DEFAULT false
) WITH (fillfactor = 70);
CREATE INDEX agents_by_name ON agents (name, id);
CREATE INDEX agents_not_admitted ON agents (relay, id)
    WHERE NOT admitted AND status IN ('online', 'idle', 'offline');

-- Actions and commands -----------------------------------------------------------------------------------------------

CREATE TABLE actions (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    target text NOT NULL,
    envelope bytea NOT NULL,
    state text NOT NULL
        CHECK (state IN ('pending', 'scheduled', 'inflight', 'completed', 'cancelled', 'expired')),
    reason text NOT NULL DEFAULT '',
    valid_from timestamptz NOT NULL,
    expire_after timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    signers text[] COLLATE "C" NOT NULL,
    cancel_envelope bytea,
    cancelled_by text COLLATE "C",
    cancelled_at timestamptz,
    targeted integer NOT NULL DEFAULT 0,
    -- The number of the last command that became final; whoever closes commands holds the lock of this row.
    closed bigint NOT NULL DEFAULT 0,
    -- Set when the action ends, when they can change no more: {state: count}, answers that found, partial successes.
    final_counts jsonb,
    final_found integer,
    final_partial integer,
    finished_at timestamptz,
    CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'cancelled', 'expired')))
) WITH (fillfactor = 60);
CREATE INDEX actions_latest ON actions (created_at DESC, id DESC);
CREATE INDEX actions_open ON actions (state) WHERE state IN ('pending', 'scheduled', 'inflight');
CREATE INDEX actions_by_end ON actions (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE commands (
    id uuid PRIMARY KEY,
    action_id uuid NOT NULL REFERENCES actions ON DELETE CASCADE,
    agent_id text COLLATE "C" NOT NULL REFERENCES agents,
    agent_name text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'success', 'failed', 'refused', 'timeout', 'killed',
                                         'cancelled', 'expired')),
    reason text NOT NULL DEFAULT '',
    found boolean,
    complete boolean,
    results jsonb,
    -- Bytes of the results as text, so that a page of them can be bounded before they are read.
    results_size integer NOT NULL DEFAULT 0,
    queued_at timestamptz NOT NULL,
    leased_until timestamptz,
    sent_at timestamptz,
    finished_at timestamptz,
    -- Where it stands among the action's final commands; given out under the lock of the action's row, so positions
    -- become visible in their order.
    position bigint,
    CHECK ((position IS NULL) = (state IN ('queued', 'sent'))),
    CHECK ((finished_at IS NULL) = (state IN ('queued', 'sent')))
) WITH (fillfactor = 80);
-- Few indexes: every answer writes to each of them. A page by agent name is sorted, an agent's open commands are searched
-- among all open ones; both are milliseconds with 10,000 commands.
CREATE UNIQUE INDEX commands_by_agent ON commands (action_id, agent_id);
CREATE UNIQUE INDEX commands_by_position ON commands (action_id, position) WHERE position IS NOT NULL;
CREATE INDEX commands_queued ON commands (id) WHERE state = 'queued';
-- With the id, so that a plan that finds one command through it (before there are statistics) is a good one too.
CREATE INDEX commands_open ON commands (action_id, id) WHERE state IN ('queued', 'sent');

-- A command's state moves forward only, whoever writes: the last line of defence behind the WHERE clauses.
CREATE FUNCTION mig_refuse_backward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'command % is % and cannot become %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER commands_move_forward BEFORE UPDATE ON commands FOR EACH ROW
    WHEN (OLD.state NOT IN ('queued', 'sent') OR (OLD.state = 'sent' AND NEW.state = 'queued'))
    EXECUTE FUNCTION mig_refuse_backward();

-- Cancels on their way to the agents: a row is gone once the relay has the message.
CREATE TABLE unsent_cancels (
    action_id uuid NOT NULL REFERENCES actions ON DELETE CASCADE,
    agent_id text COLLATE "C" NOT NULL REFERENCES agents,
    leased_until timestamptz,
    PRIMARY KEY (action_id, agent_id)
);

-- The queue behind the https relay -----------------------------------------------------------------------------------

CREATE TABLE relay_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent_id text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    expires timestamptz NOT NULL,
    session text,
    leased_until timestamptz
);
CREATE INDEX relay_messages_of_agent ON relay_messages (agent_id, id);

CREATE TABLE relay_inbound (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('result', 'heartbeat')),
    agent_id text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    leased_until timestamptz
);

CREATE TABLE counters (
    name text COLLATE "C" PRIMARY KEY,
    value bigint NOT NULL
);

-- Who may do what ----------------------------------------------------------------------------------------------------

GRANT USAGE ON SCHEMA public TO mig_api, mig_scheduler, mig_reader;
REVOKE EXECUTE ON FUNCTION mig_uuid7(timestamptz), mig_refuse_backward() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mig_uuid7(timestamptz) TO mig_scheduler;

-- Targets are evaluated as this role: what they may ask about, and nothing else.
GRANT SELECT (id, name, status, relay, version, mode, pid, environment, tags, addresses, started_at, heartbeat_at)
    ON agents TO mig_reader;
GRANT SELECT (action_id, agent_id, state, found, complete, sent_at) ON commands TO mig_reader;

GRANT SELECT, INSERT, UPDATE, DELETE ON investigators, login_nonces, sessions TO mig_api;
REVOKE DELETE ON investigators FROM mig_api;
GRANT SELECT, INSERT, UPDATE ON agents TO mig_api;
GRANT SELECT, INSERT ON actions TO mig_api;
GRANT UPDATE (envelope, signers, state, reason, cancel_envelope, cancelled_by, cancelled_at, closed, final_counts,
              final_found, final_partial, finished_at) ON actions TO mig_api;
GRANT SELECT ON commands TO mig_api;
GRANT UPDATE (state, reason, finished_at, position) ON commands TO mig_api;
GRANT SELECT, INSERT, DELETE ON unsent_cancels TO mig_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON relay_messages TO mig_api;
GRANT SELECT, INSERT ON relay_inbound TO mig_api;
GRANT SELECT, INSERT, UPDATE ON counters TO mig_api;

GRANT SELECT (id, name, public_key, status, relay, version, mode, pid, environment, tags, addresses, modules, failures,
              statistics, started_at, heartbeat_at, enrolled_at, heartbeat_sequence, admitted) ON agents TO mig_scheduler;
GRANT UPDATE (name, status, version, mode, pid, environment, tags, addresses, modules, failures, statistics, started_at,
              heartbeat_at, heartbeat_sequence, admitted) ON agents TO mig_scheduler;
GRANT SELECT, DELETE ON actions TO mig_scheduler;
GRANT UPDATE (state, reason, targeted, closed, final_counts, final_found, final_partial, finished_at)
    ON actions TO mig_scheduler;
GRANT SELECT, INSERT, UPDATE ON commands TO mig_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON unsent_cancels TO mig_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON relay_messages TO mig_scheduler;
GRANT SELECT, UPDATE, DELETE ON relay_inbound TO mig_scheduler;
GRANT SELECT, INSERT, UPDATE ON counters TO mig_scheduler;
