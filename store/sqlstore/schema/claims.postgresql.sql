CREATE TABLE IF NOT EXISTS telemed_claims (
  claim_key  VARCHAR(512) COLLATE "C" NOT NULL,
  token      VARCHAR(64)  COLLATE "C" NOT NULL,
  done       SMALLINT     NOT NULL, -- 0: somebody is at it; 1: value is what came of it
  value      BYTEA        NOT NULL, -- in clear or sealed
  ends_at    BIGINT       NOT NULL, -- of the lease or the keeping time, Unix milliseconds
  PRIMARY KEY (claim_key)
)
