CREATE TABLE IF NOT EXISTS oauth_tokens (
  provider      TEXT    COLLATE BINARY NOT NULL,
  subject       TEXT    COLLATE BINARY NOT NULL,
  token         BLOB    NOT NULL,
  status        TEXT    NOT NULL,
  reason        TEXT    NOT NULL,
  lease_owner   TEXT    NOT NULL,
  lease_until   INTEGER NOT NULL, -- Unix milliseconds; 0: none
  lease_ttl     INTEGER NOT NULL DEFAULT 0, -- milliseconds; 0: not written down
  lease_tainted INTEGER NOT NULL, -- 0 or 1
  expires_at    INTEGER NOT NULL, -- of the access token, Unix milliseconds; 0: unknown
  updated_at    INTEGER NOT NULL, -- Unix milliseconds
  revision      TEXT    COLLATE BINARY NOT NULL,
  PRIMARY KEY (provider, subject)
)
