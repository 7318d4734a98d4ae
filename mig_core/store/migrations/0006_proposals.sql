-- Questions that somebody would like asked, until an investigator has signed or refused them. Agents never hear of them.

CREATE TABLE proposals (
    id uuid PRIMARY KEY,
    proposer text COLLATE "C" NOT NULL REFERENCES investigators (fingerprint),
    -- The document, as mig_core.domain.proposal reads it.
    payload bytea NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'signed', 'rejected')),
    created_at timestamptz NOT NULL,
    decided_at timestamptz,
    decided_by text COLLATE "C" REFERENCES investigators (fingerprint),
    -- Why it was refused.
    answer text NOT NULL DEFAULT '',
    -- What was asked instead of it; actions are forgotten in their own time.
    action_id uuid
);
CREATE INDEX proposals_latest ON proposals (created_at, id);
CREATE INDEX proposals_of ON proposals (proposer) WHERE state = 'open';

GRANT SELECT, INSERT, UPDATE, DELETE ON proposals TO mig_api;
