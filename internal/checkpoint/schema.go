package checkpoint

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations are the names of the scripts in order; the n-th brings the schema to version n.
func migrations() []string {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	if err != nil {
		panic(err) // a bad pattern
	}
	return names
}

// migrate brings the schema from version to the newest, in one transaction.
func migrate(ctx context.Context, conn *sql.DB, version int) error {
	scripts := migrations()
	if version == len(scripts) {
		return nil
	}
	return inTx(ctx, conn, func(tx *sql.Tx) error {
		for _, name := range scripts[version:] {
			script, err := migrationFiles.ReadFile(name)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(script)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		pragmas := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(scripts))
		if _, err := tx.ExecContext(ctx, pragmas); err != nil {
			return err
		}
		schema, err := schemaSum(ctx, tx)
		if err != nil {
			return err
		}
		return errors.Join(putMeta(ctx, tx, "schema", schema), putMeta(ctx, tx, "version", strconv.Itoa(len(scripts))))
	})
}

func putMeta(ctx context.Context, tx *sql.Tx, name, value string) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO meta (name, value, sum) VALUES (?, ?, ?)",
		name, value, metaSum(new(rowSum), name, value))
	return err
}

// verifySchema checks that version, tables and constraints are those that were written.
func (db *DB) verifySchema(ctx context.Context) error {
	return inTx(ctx, db.sql, func(tx *sql.Tx) error {
		schema, err := schemaSum(ctx, tx)
		if err != nil {
			return err
		}
		for name, want := range map[string]string{"schema": schema, "version": strconv.Itoa(len(migrations()))} {
			var value string
			if err := tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", name).Scan(&value); err != nil {
				return fmt.Errorf("%s of the journal: %w", name, err)
			}
			if value != want {
				return db.damaged("its " + name + " is not what was written")
			}
		}
		return nil
	})
}

// schemaSum is a hash of all definitions in the database.
func schemaSum(ctx context.Context, tx *sql.Tx) (string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	h := sha256.New()
	for rows.Next() {
		var kind, name, tbl, text string
		if err := rows.Scan(&kind, &name, &tbl, &text); err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %q %q %q\n", kind, name, tbl, text)
	}
	return hex.EncodeToString(h.Sum(nil)), rows.Err()
}

// inTx runs do in a transaction that is immediate, as the DSN says, and commits unless do fails.
func inTx(ctx context.Context, conn *sql.DB, do func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		if rb := tx.Rollback(); rb != nil && !errors.Is(rb, sql.ErrTxDone) {
			err = errors.Join(err, rb)
		}
		return err
	}
	return tx.Commit()
}
