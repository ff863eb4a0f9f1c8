CREATE TABLE IF NOT EXISTS telemed_rows (
  kind        VARBINARY(64)  NOT NULL, -- binary: collations merge "Order", "order" and "order "
  name        VARBINARY(255) NOT NULL,
  tenant      VARBINARY(128) NOT NULL,
  due         BIGINT,                  -- Unix milliseconds; null: there is nothing to do
  lease_owner VARBINARY(64)  NOT NULL, -- empty: nobody
  lease_ttl   BIGINT         NOT NULL, -- milliseconds
  attempts    INTEGER        NOT NULL,
  stuck       VARBINARY(255) NOT NULL,
  erase_at    BIGINT,                  -- Unix milliseconds; null: never
  version     INTEGER        NOT NULL, -- of data
  audit       MEDIUMBLOB     NOT NULL, -- readable, without a person
  data        MEDIUMBLOB     NOT NULL, -- in clear or sealed
  revision    VARBINARY(64)  NOT NULL,
  PRIMARY KEY (kind, name),
  KEY telemed_rows_turn (lease_owner, kind, tenant, due),
  KEY telemed_rows_due (lease_owner, kind, due),
  KEY telemed_rows_erase (erase_at)
) ENGINE=InnoDB
