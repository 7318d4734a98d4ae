-- The health of an agent's persistent modules, as its heartbeats report it; not for targets.

ALTER TABLE agents ADD COLUMN persistent jsonb NOT NULL DEFAULT '{}';
GRANT SELECT (persistent), UPDATE (persistent) ON agents TO mig_scheduler;
