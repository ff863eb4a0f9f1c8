CREATE TABLE IF NOT EXISTS oauth_tokens (
  provider      VARCHAR(64)   COLLATE "C" NOT NULL,
  subject       VARCHAR(255)  COLLATE "C" NOT NULL,
  token         BYTEA         NOT NULL,
  status        VARCHAR(32)   NOT NULL,
  reason        VARCHAR(1024) NOT NULL,
  lease_owner   VARCHAR(64)   NOT NULL,
  lease_until   BIGINT        NOT NULL, -- Unix milliseconds; 0: none
  lease_ttl     BIGINT        NOT NULL DEFAULT 0, -- milliseconds; 0: not written down
  lease_tainted SMALLINT      NOT NULL, -- 0 or 1
  expires_at    BIGINT        NOT NULL, -- of the access token, Unix milliseconds; 0: unknown
  updated_at    BIGINT        NOT NULL, -- Unix milliseconds
  revision      VARCHAR(64)   COLLATE "C" NOT NULL,
  PRIMARY KEY (provider, subject)
)
