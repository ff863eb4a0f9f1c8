-- The hospital's own rows. PostgreSQL takes this too.
CREATE TABLE IF NOT EXISTS visits (
	form TEXT PRIMARY KEY,        -- a hash of the form that booked it: a form that is sent twice books once
	id TEXT NOT NULL UNIQUE,      -- the visit's, which providers see
	page TEXT NOT NULL UNIQUE,    -- the patient's page: random, and whoever has it is the patient
	made BIGINT NOT NULL          -- when, in seconds since 1970
);
