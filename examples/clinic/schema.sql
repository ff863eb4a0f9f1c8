-- The clinic's own tables. The SDK's stand beside them.
CREATE TABLE IF NOT EXISTS appointments (
	id        TEXT PRIMARY KEY,
	patient   TEXT NOT NULL, -- who is logged in, and nobody else sees it
	start     TIMESTAMP NOT NULL,
	cancelled BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE TABLE IF NOT EXISTS staff (
	login TEXT NOT NULL,
	room  TEXT NOT NULL, -- of the dashboard: clinic-lotus
	PRIMARY KEY (login, room)
);
