package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/telemed-go/telemed"
)

// purge deletes page by page. A DELETE of whatever has ended would lock all that it reads
// in MySQL, and with that every claim.
func (c *claims) purge(ctx context.Context) (int, error) {
	purged := 0
	err := c.walk(ctx, "PurgeClaims", c.sql.over, func(keys []any) error {
		n, err := c.persist(ctx, c.dialect.rebind(c.sql.remove+" AND claim_key IN (?"+strings.Repeat(", ?", len(keys)-1)+")"), keys...)
		if err != nil {
			return ambiguous("PurgeClaims", err)
		}
		purged += int(n)
		return nil
	})
	return purged, err
}

// reseal seals the values that are kept with the first key.
func (c *claims) reseal(ctx context.Context) (int, error) {
	resealed, unopened := 0, 0
	if c.sealer.AEAD == nil {
		return 0, nil
	}
	err := c.walk(ctx, "ResealClaims", c.sql.done, func(keys []any) error {
		for _, key := range keys {
			written, err := c.resealOne(ctx, key.(string))
			switch {
			case errors.Is(err, telemed.ErrDecrypt):
				unopened++
			case err != nil:
				return err
			case written:
				resealed++
			}
		}
		return nil
	})
	if err == nil && unopened > 0 {
		err = fmt.Errorf("sqlstore: ResealClaims: %d claims left as they are: %w", unopened, telemed.ErrDecrypt)
	}
	return resealed, err
}

// resealOne tries again if the claim is completed anew meanwhile: that may be the work of
// a process that has not got the new key first yet.
func (c *claims) resealOne(ctx context.Context, key string) (written bool, err error) {
	for range raceTries {
		row, err := c.look(ctx, key)
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && (!row.done || row.ended):
			return false, nil
		case err != nil:
			return false, unavailable("ResealClaims", err)
		}
		value, err := c.sealer.Open(claimPurpose, key, row.value)
		if err != nil {
			return false, err
		}
		stored, err := c.sealer.Seal(claimPurpose, key, value)
		if err != nil {
			return false, fmt.Errorf("sqlstore: ResealClaims: %w", err)
		}
		n, err := c.persist(ctx, c.sql.reseal, stored, key, row.token, row.value)
		if err != nil {
			return false, ambiguous("ResealClaims", err)
		}
		if n == 1 {
			return true, nil
		}
	}
	return false, fmt.Errorf("sqlstore: ResealClaims: a claim is completed again and again: %w", telemed.ErrUnavailable)
}

// walk calls visit for each page of keys that a query finds, in their order. It holds no
// connection meanwhile. The query takes the last key of the page before.
func (c *claims) walk(ctx context.Context, op, query string, visit func(keys []any) error) error {
	var last any = ""
	for {
		keys, err := c.page(ctx, query, last)
		if err != nil {
			return unavailable(op, err)
		}
		if len(keys) > 0 {
			last = keys[len(keys)-1]
			if err := visit(keys); err != nil {
				return err
			}
		}
		if len(keys) < claimsPage {
			return nil
		}
	}
}

// page returns keys as arguments of a statement.
func (c *claims) page(ctx context.Context, query string, last any) (keys []any, err error) {
	rows, err := c.db.QueryContext(ctx, query, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, rows.Err()
}
