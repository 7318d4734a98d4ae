-- When the place at its relay of an agent that was retired is to be removed, with what waits there; NULL: it is, or is in use.
ALTER TABLE agents ADD COLUMN dismiss_at timestamptz;
UPDATE agents SET dismiss_at = now() WHERE status = 'retired';
CREATE INDEX agents_to_dismiss ON agents (relay, dismiss_at) WHERE dismiss_at IS NOT NULL;
GRANT SELECT (dismiss_at, retired_at), UPDATE (dismiss_at) ON agents TO mig_scheduler;
