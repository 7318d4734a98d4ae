-- The messages of an action's commands differ in their beginning only (whose it is). What they have in common lies here once,
-- and a message names it: 1.5 kB less to write and to read for each. A message without `tail` is whole.

CREATE TABLE relay_tails (
    -- The action's.
    id uuid PRIMARY KEY,
    body bytea NOT NULL,
    expires timestamptz NOT NULL
);
ALTER TABLE relay_tails ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE relay_messages ADD COLUMN tail uuid;

-- What one scheduler has taken of relay_inbound, until it has recorded it or the lease ends. Taking a batch adds one row here and
-- touches none of the messages.
CREATE TABLE relay_takes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    messages bigint[] NOT NULL,
    leased_until timestamptz NOT NULL
);
ALTER TABLE relay_inbound DROP COLUMN leased_until;

GRANT SELECT ON relay_tails TO mig_api;
GRANT SELECT, INSERT, DELETE ON relay_tails, relay_takes TO mig_scheduler;
