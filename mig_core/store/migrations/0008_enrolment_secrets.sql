-- Who may bring agents in: named secrets that are added and revoked while the platform works. Kept as SHA-256 only; they are
-- random and long, so nobody finds one by trying.

CREATE TABLE enrolment_secrets (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    digest bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    -- Null: it does not expire.
    expires_at timestamptz,
    -- How many agents more it admits; null: any number.
    uses_left bigint CHECK (uses_left >= 0),
    used bigint NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    -- What the agents are given that it admits: tags beside their own, and where to listen (the URL of a broker, or nothing).
    tags jsonb NOT NULL DEFAULT '{}',
    relay text NOT NULL DEFAULT '',
    revoked_at timestamptz,
    revoked_by text COLLATE "C" NOT NULL DEFAULT ''
);

ALTER TABLE agents
    -- The secret that admitted it: a name above, or (settings) or (approved).
    ADD COLUMN enrolled_with text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN given_tags jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN given_relay text NOT NULL DEFAULT '',
    ADD COLUMN retired_at timestamptz;
UPDATE agents SET retired_at = now() WHERE status = 'retired';

-- Agents that say they run on the same machine; for people who wonder whether one came in another's place.
CREATE INDEX agents_of_machine ON agents ((environment->>'machine')) WHERE environment->>'machine' IS NOT NULL;

-- Removed: not listed, never active again unless added anew; what they did keeps their name.
ALTER TABLE investigators ADD COLUMN removed_at timestamptz;

CREATE FUNCTION mig_log_enrolment_secret() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM mig_log_add('enrolment.added', NEW.created_by, NEW.name, NEW.name, jsonb_strip_nulls(jsonb_build_object(
            'expires', NEW.expires_at, 'uses', NEW.uses_left, 'tags', NEW.tags, 'relay', NEW.relay)));
    ELSE
        PERFORM mig_log_add('enrolment.revoked', NEW.revoked_by, NEW.name, NEW.name, jsonb_build_object('used', NEW.used));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER enrolment_secrets_are_noted AFTER INSERT ON enrolment_secrets FOR EACH ROW
    EXECUTE FUNCTION mig_log_enrolment_secret();
CREATE TRIGGER enrolment_secrets_ends_are_noted AFTER UPDATE OF revoked_at ON enrolment_secrets FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION mig_log_enrolment_secret();

-- As before, with the secret that admitted it.
CREATE OR REPLACE FUNCTION mig_log_agent() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mig_log_add(CASE WHEN NEW.status = 'retired' THEN 'agent.retired' ELSE 'agent.admitted' END, '', NEW.id,
        NEW.name, jsonb_build_object('relay', NEW.relay, 'secret', NEW.enrolled_with));
    RETURN NULL;
END $$;

CREATE FUNCTION mig_log_removal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mig_log_add('investigator.removed', '', NEW.fingerprint, NEW.name, '{}');
    RETURN NULL;
END $$;
CREATE TRIGGER investigators_removals_are_noted AFTER UPDATE OF removed_at ON investigators FOR EACH ROW
    WHEN (OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL) EXECUTE FUNCTION mig_log_removal();

REVOKE EXECUTE ON FUNCTION mig_log_enrolment_secret(), mig_log_removal() FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON enrolment_secrets TO mig_api;
GRANT SELECT (retired_at) ON agents TO mig_reader;
