CREATE TABLE IF NOT EXISTS telemed_rows (
  kind        TEXT    COLLATE BINARY NOT NULL,
  name        TEXT    COLLATE BINARY NOT NULL,
  tenant      TEXT    COLLATE BINARY NOT NULL,
  due         INTEGER,          -- Unix milliseconds; null: there is nothing to do
  lease_owner TEXT    COLLATE BINARY NOT NULL, -- empty: nobody
  lease_ttl   INTEGER NOT NULL, -- milliseconds
  attempts    INTEGER NOT NULL,
  stuck       TEXT    NOT NULL,
  erase_at    INTEGER,          -- Unix milliseconds; null: never
  version     INTEGER NOT NULL, -- of data
  audit       BLOB    NOT NULL, -- readable, without a person
  data        BLOB    NOT NULL, -- in clear or sealed
  revision    TEXT    COLLATE BINARY NOT NULL,
  PRIMARY KEY (kind, name)
)

CREATE INDEX IF NOT EXISTS telemed_rows_turn ON telemed_rows (kind, tenant, due) WHERE due IS NOT NULL AND lease_owner = ''

CREATE INDEX IF NOT EXISTS telemed_rows_due ON telemed_rows (kind, due) WHERE due IS NOT NULL AND lease_owner = ''

CREATE INDEX IF NOT EXISTS telemed_rows_lease ON telemed_rows (lease_owner) WHERE lease_owner <> ''

CREATE INDEX IF NOT EXISTS telemed_rows_erase ON telemed_rows (erase_at) WHERE erase_at IS NOT NULL
