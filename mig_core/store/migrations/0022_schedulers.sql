-- A scheduler that runs. It holds the advisory lock of its number for as long as its connection lasts, and what it leases bears that number:
-- when the lock can be had it has ended, and another one frees what it held. NULL: of a program that does not do so; its leases end by the clock.
CREATE TABLE schedulers (
    number bigint PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE unsent_commands ADD COLUMN leased_by bigint;
ALTER TABLE unsent_cancels ADD COLUMN leased_by bigint;
ALTER TABLE relay_takes ADD COLUMN leased_by bigint;

GRANT SELECT, INSERT, DELETE ON schedulers TO mig_scheduler;
