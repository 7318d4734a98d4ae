-- Since when a command that was sent waits to be handed over once more; NULL: it never was sent. Without it an old command that a relay
-- has lost looked as if nobody had been able to hand it over since it was made.
ALTER TABLE unsent_commands ADD COLUMN again_at timestamptz;

-- An agent that enrols at another relay is handed over what waits for it at the one before.
GRANT INSERT ON unsent_commands TO mig_api;
