CREATE TABLE IF NOT EXISTS telemed_rows (
  kind        VARCHAR(64)  COLLATE "C" NOT NULL,
  name        VARCHAR(255) COLLATE "C" NOT NULL,
  tenant      VARCHAR(128) COLLATE "C" NOT NULL,
  due         BIGINT,                -- Unix milliseconds; null: there is nothing to do
  lease_owner VARCHAR(64)  COLLATE "C" NOT NULL, -- empty: nobody
  lease_ttl   BIGINT       NOT NULL, -- milliseconds
  attempts    INTEGER      NOT NULL,
  stuck       VARCHAR(255) NOT NULL,
  erase_at    BIGINT,                -- Unix milliseconds; null: never
  version     INTEGER      NOT NULL, -- of data
  audit       BYTEA        NOT NULL, -- readable, without a person
  data        BYTEA        NOT NULL, -- in clear or sealed
  revision    VARCHAR(64)  COLLATE "C" NOT NULL,
  PRIMARY KEY (kind, name)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)

CREATE INDEX IF NOT EXISTS telemed_rows_turn ON telemed_rows (kind, tenant, due) WHERE due IS NOT NULL AND lease_owner = ''

CREATE INDEX IF NOT EXISTS telemed_rows_due ON telemed_rows (kind, (due + 0)) WHERE due IS NOT NULL AND lease_owner = '' -- + 0: not for what names a tenant, which the other one finds

CREATE INDEX IF NOT EXISTS telemed_rows_lease ON telemed_rows (lease_owner) WHERE lease_owner <> ''

CREATE INDEX IF NOT EXISTS telemed_rows_erase ON telemed_rows (erase_at) WHERE erase_at IS NOT NULL
