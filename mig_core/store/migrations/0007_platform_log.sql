-- The platform log: who asked, approved, retired, changed permissions and logged in, and from where.
--
-- Rows are written by triggers, in the transaction that makes the change: what is done is in the log, whichever program
-- or person did it, and what was rolled back is not. Programs say who acts by two settings of the transaction, mig.who
-- and mig.address (mig_core/store/acting.py). Rows are added and read; they are neither changed nor deleted. What is old
-- goes a month at a time, by the owner (mig-admin log forget).

-- Who manages investigators could find all of this out anyway.
UPDATE investigators SET permissions = array_append(permissions, 'log')
 WHERE 'investigators' = ANY(permissions) AND NOT 'log' = ANY(permissions);

CREATE TABLE platform_log (
    happened_at timestamptz NOT NULL,
    id uuid NOT NULL,
    -- Like action.asked or login.failed.
    what text COLLATE "C" NOT NULL,
    -- An investigator's fingerprint; empty: nobody who had logged in.
    who text COLLATE "C" NOT NULL,
    who_name text NOT NULL,
    -- Where the request came from, as far as it can be trusted; empty: not from mig-api.
    address text COLLATE "C" NOT NULL,
    -- The database login that did it.
    login text COLLATE "C" NOT NULL,
    -- An id or a fingerprint.
    subject text COLLATE "C" NOT NULL,
    subject_name text NOT NULL,
    detail jsonb NOT NULL,
    PRIMARY KEY (happened_at, id)
) PARTITION BY RANGE (happened_at);
CREATE INDEX platform_log_of_who ON platform_log (who, happened_at);
CREATE INDEX platform_log_of_subject ON platform_log (subject, happened_at);

CREATE FUNCTION mig_refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the platform log is only added to' USING ERRCODE = 'insufficient_privilege',
        HINT = 'old months go by: mig-admin log forget';
END $$;
CREATE TRIGGER platform_log_stays BEFORE UPDATE OR DELETE ON platform_log FOR EACH ROW
    EXECUTE FUNCTION mig_refuse_rewriting();
CREATE TRIGGER platform_log_is_not_emptied BEFORE TRUNCATE ON platform_log
    EXECUTE FUNCTION mig_refuse_rewriting();

-- Makes the place of one month's rows. Attached rather than created in place, so that nobody who writes or reads waits.
CREATE FUNCTION mig_log_month(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
DECLARE
    first timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
    part text := 'platform_log_' || to_char(first, 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(x'4D49474C'::int);
    IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE platform_log)', part);
        EXECUTE format('CREATE TRIGGER platform_log_is_not_emptied BEFORE TRUNCATE ON %I'
                       ' EXECUTE FUNCTION mig_refuse_rewriting()', part);
        EXECUTE format('ALTER TABLE platform_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       part, first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
    END IF;
END $$;

-- Writes one row. Whoever is not named is the one that the transaction's settings name.
CREATE FUNCTION mig_log_add(what text, who text, subject text, subject_name text, detail jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    actor text := coalesce(nullif(mig_log_add.who, ''), current_setting('mig.who', true), '');
    named text := coalesce((SELECT i.name FROM investigators i WHERE i.fingerprint = actor), '');
    address text := coalesce(current_setting('mig.address', true), '');
BEGIN
    BEGIN
        INSERT INTO platform_log VALUES (moment, mig_uuid7(moment), mig_log_add.what, left(actor, 100), left(named, 200),
            left(address, 100), session_user, left(mig_log_add.subject, 100), left(mig_log_add.subject_name, 200), detail);
    EXCEPTION WHEN check_violation THEN  -- the first row of a month
        PERFORM mig_log_month(moment);
        INSERT INTO platform_log VALUES (moment, mig_uuid7(moment), mig_log_add.what, left(actor, 100), left(named, 200),
            left(address, 100), session_user, left(mig_log_add.subject, 100), left(mig_log_add.subject_name, 200), detail);
    END;
END $$;

CREATE FUNCTION mig_log_action() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM mig_log_add('action.asked', NEW.created_by, NEW.id::text, NEW.name,
            jsonb_build_object('target', left(NEW.target, 1000), 'signers', to_jsonb(NEW.signers), 'state', NEW.state));
        RETURN NULL;
    END IF;
    IF NEW.signers <> OLD.signers THEN
        PERFORM mig_log_add('action.approved', '', NEW.id::text, NEW.name,
            jsonb_build_object('signers', to_jsonb(NEW.signers), 'state', NEW.state));
    END IF;
    IF NEW.cancelled_by IS DISTINCT FROM OLD.cancelled_by THEN
        PERFORM mig_log_add('action.cancelled', coalesce(NEW.cancelled_by, ''), NEW.id::text, NEW.name,
            jsonb_build_object('state', OLD.state));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER actions_are_noted AFTER INSERT ON actions FOR EACH ROW EXECUTE FUNCTION mig_log_action();
CREATE TRIGGER actions_changes_are_noted AFTER UPDATE OF signers, cancelled_by ON actions FOR EACH ROW
    WHEN (NEW.signers <> OLD.signers OR NEW.cancelled_by IS DISTINCT FROM OLD.cancelled_by)
    EXECUTE FUNCTION mig_log_action();

-- Who asks to be let in is not noted: anybody may ask. Who is let in is.
CREATE FUNCTION mig_log_agent() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mig_log_add(CASE WHEN NEW.status = 'retired' THEN 'agent.retired' ELSE 'agent.admitted' END, '', NEW.id,
        NEW.name, jsonb_build_object('relay', NEW.relay));
    RETURN NULL;
END $$;
CREATE TRIGGER agents_are_noted AFTER INSERT ON agents FOR EACH ROW WHEN (NEW.status <> 'pending')
    EXECUTE FUNCTION mig_log_agent();
CREATE TRIGGER agents_changes_are_noted AFTER UPDATE OF status ON agents FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status AND (OLD.status IN ('pending', 'retired') OR NEW.status = 'retired'))
    EXECUTE FUNCTION mig_log_agent();

CREATE FUNCTION mig_log_investigator() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM mig_log_add('investigator.removed', '', OLD.fingerprint, OLD.name, '{}');
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM mig_log_add('investigator.added', '', NEW.fingerprint, NEW.name,
            jsonb_build_object('permissions', to_jsonb(NEW.permissions), 'active', NEW.active));
    ELSE
        PERFORM mig_log_add('investigator.changed', '', NEW.fingerprint, NEW.name, jsonb_strip_nulls(jsonb_build_object(
            'permissions', to_jsonb(NEW.permissions), 'active', NEW.active,
            'permissionsbefore', CASE WHEN OLD.permissions <> NEW.permissions THEN to_jsonb(OLD.permissions) END,
            'activebefore', CASE WHEN OLD.active <> NEW.active THEN OLD.active END,
            'keychanged', CASE WHEN OLD.public_key <> NEW.public_key THEN true END,
            'namebefore', CASE WHEN OLD.name <> NEW.name THEN OLD.name END)));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER investigators_are_noted AFTER INSERT OR DELETE ON investigators FOR EACH ROW
    EXECUTE FUNCTION mig_log_investigator();
CREATE TRIGGER investigators_changes_are_noted AFTER UPDATE ON investigators FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION mig_log_investigator();

-- A session that ends by its time is not noted; one that is ended before it is.
CREATE FUNCTION mig_log_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM mig_log_add('login', NEW.fingerprint, '', '', jsonb_build_object('expires', NEW.expires));
    ELSE
        PERFORM mig_log_add('logout', '', OLD.fingerprint, coalesce(
            (SELECT i.name FROM investigators i WHERE i.fingerprint = OLD.fingerprint), ''), '{}');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_are_noted AFTER INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION mig_log_session();
CREATE TRIGGER sessions_ends_are_noted AFTER DELETE ON sessions FOR EACH ROW WHEN (OLD.expires > now())
    EXECUTE FUNCTION mig_log_session();

CREATE FUNCTION mig_log_proposal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM mig_log_add('proposal.made', NEW.proposer, NEW.id::text, '', '{}');
    ELSE
        PERFORM mig_log_add('proposal.' || NEW.state, coalesce(NEW.decided_by, ''), NEW.id::text, '',
            jsonb_strip_nulls(jsonb_build_object('action', NEW.action_id)));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER proposals_are_noted AFTER INSERT ON proposals FOR EACH ROW EXECUTE FUNCTION mig_log_proposal();
CREATE TRIGGER proposals_decisions_are_noted AFTER UPDATE OF state ON proposals FOR EACH ROW
    WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION mig_log_proposal();

-- Drops whole months that ended before a moment; for the owner. Says how many.
CREATE FUNCTION mig_forget_log(before timestamptz) RETURNS integer
LANGUAGE plpgsql SET search_path = public, pg_catalog, pg_temp AS $$
DECLARE
    part text;
    gone integer := 0;
BEGIN
    FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = 'platform_log'::regclass ORDER BY c.relname
    LOOP
        IF (to_date(right(part, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= before THEN
            EXECUTE format('DROP TABLE %I', part);
            gone := gone + 1;
        END IF;
    END LOOP;
    IF gone > 0 THEN
        PERFORM mig_log_add('log.forgotten', '', '', '', jsonb_build_object('before', before, 'months', gone));
    END IF;
    RETURN gone;
END $$;

REVOKE EXECUTE ON FUNCTION mig_refuse_rewriting(), mig_log_month(timestamptz), mig_forget_log(timestamptz),
    mig_log_add(text, text, text, text, jsonb), mig_log_action(), mig_log_agent(), mig_log_investigator(),
    mig_log_session(), mig_log_proposal() FROM PUBLIC;
-- For what leaves no trace in a table: a login that failed.
GRANT EXECUTE ON FUNCTION mig_log_add(text, text, text, text, jsonb) TO mig_api;
GRANT SELECT ON platform_log TO mig_api;
