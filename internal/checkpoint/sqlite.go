//go:build cgo

package checkpoint

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"
)

// connector opens connections to one database; it spares the driver's global name.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

// newConnector gives a connector for dsn. maxPages, when positive, bounds the size of the database.
func newConnector(dsn string, maxPages int) driver.Connector {
	hook := func(c *sqlite3.SQLiteConn) error {
		if maxPages <= 0 {
			return nil
		}
		_, err := c.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", maxPages), nil)
		return err
	}
	return &connector{dsn: dsn, driver: &sqlite3.SQLiteDriver{ConnectHook: hook}}
}

func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c *connector) Driver() driver.Driver                        { return c.driver }

// sqliteCode is SQLite's primary result code in err, or 0.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[sqlite3.Error](err); ok {
		return int(e.Code)
	}
	return 0
}
