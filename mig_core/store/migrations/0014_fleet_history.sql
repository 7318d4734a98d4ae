-- How the fleet stood, every few minutes of the last days, and what time it was by each agent's own clock.
CREATE TABLE fleet_history (
    at timestamptz PRIMARY KEY,
    -- Agents by state.
    agents jsonb NOT NULL
);
GRANT SELECT ON fleet_history TO mig_api;
GRANT SELECT, INSERT, DELETE ON fleet_history TO mig_scheduler;

-- When the last heartbeat was sent, by the agent's clock; heartbeat_at is when it came, by the platform's.
ALTER TABLE agents ADD COLUMN heartbeat_sent_at timestamptz;
GRANT UPDATE (heartbeat_sent_at) ON agents TO mig_scheduler;
