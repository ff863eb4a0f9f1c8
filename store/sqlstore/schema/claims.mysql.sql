CREATE TABLE IF NOT EXISTS telemed_claims (
  claim_key  VARBINARY(512) NOT NULL, -- binary: collations merge "Doc", "doc" and "doc "
  token      VARBINARY(64)  NOT NULL,
  done       SMALLINT       NOT NULL, -- 0: somebody is at it; 1: value is what came of it
  value      BLOB           NOT NULL, -- in clear or sealed
  ends_at    BIGINT         NOT NULL, -- of the lease or the keeping time, Unix milliseconds
  PRIMARY KEY (claim_key)
) ENGINE=InnoDB
