CREATE TABLE IF NOT EXISTS telemed_claims (
  claim_key  TEXT    COLLATE BINARY NOT NULL,
  token      TEXT    COLLATE BINARY NOT NULL,
  done       INTEGER NOT NULL, -- 0: somebody is at it; 1: value is what came of it
  value      BLOB    NOT NULL, -- in clear or sealed
  ends_at    INTEGER NOT NULL, -- of the lease or the keeping time, Unix milliseconds
  PRIMARY KEY (claim_key)
)
