-- The hospital's own rows. PostgreSQL takes this too.
CREATE TABLE IF NOT EXISTS visits (
	form TEXT PRIMARY KEY,            -- a hash of the form that booked it: a form that is sent twice books once
	id TEXT NOT NULL UNIQUE,          -- the visit's, which providers see
	page TEXT NOT NULL UNIQUE,        -- the patient's page: random, and whoever has it is the patient
	made BIGINT NOT NULL,             -- when, in seconds since 1970
	waits BIGINT NOT NULL DEFAULT 0   -- since when the patient is there; 0 is not yet
);
CREATE TABLE IF NOT EXISTS logins (
	session TEXT PRIMARY KEY,         -- a hash of the cookie
	subject TEXT NOT NULL,            -- who is logged in
	began BIGINT NOT NULL             -- when, in seconds since 1970
);
CREATE TABLE IF NOT EXISTS effects (  -- what was tried for a visit, for its timeline
	visit TEXT NOT NULL,
	at BIGINT NOT NULL,               -- when it ended, in milliseconds since 1970
	what TEXT NOT NULL                -- without a person in it
);
CREATE INDEX IF NOT EXISTS effects_of_visit ON effects (visit);
