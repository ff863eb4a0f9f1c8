CREATE TABLE IF NOT EXISTS oauth_tokens (
  provider      VARBINARY(64)   NOT NULL, -- binary: collations merge "Doc", "doc" and "doc "
  subject       VARBINARY(255)  NOT NULL,
  token         LONGBLOB        NOT NULL,
  status        VARBINARY(32)   NOT NULL,
  reason        VARBINARY(1024) NOT NULL,
  lease_owner   VARBINARY(64)   NOT NULL,
  lease_until   BIGINT          NOT NULL, -- Unix milliseconds; 0: none
  lease_ttl     BIGINT          NOT NULL DEFAULT 0, -- milliseconds; 0: not written down
  lease_tainted SMALLINT        NOT NULL, -- 0 or 1
  expires_at    BIGINT          NOT NULL, -- of the access token, Unix milliseconds; 0: unknown
  updated_at    BIGINT          NOT NULL, -- Unix milliseconds
  revision      VARBINARY(64)   NOT NULL,
  PRIMARY KEY (provider, subject)
) ENGINE=InnoDB
