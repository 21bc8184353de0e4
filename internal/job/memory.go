package job

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Memory is a Journal that lasts as long as the process: for runs that need no resuming.
type Memory struct {
	mu      sync.Mutex
	records map[string]Record
}

// Get implements Journal.
func (m *Memory) Get(_ context.Context, key string) (Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, ok := m.records[key]
	return rec, ok, nil
}

// Put implements Journal.
func (m *Memory) Put(_ context.Context, records ...Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.records = map[string]Record{}
	}
	for _, rec := range records {
		m.records[rec.Key] = rec
	}
	return nil
}

// All implements Journal. It gives the records as they are when the loop begins.
func (m *Memory) All(_ context.Context, prefix string) iter.Seq2[Record, error] {
	m.mu.Lock()
	records := maps.Clone(m.records)
	m.mu.Unlock()
	return func(yield func(Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(records)) {
			if strings.HasPrefix(key, prefix) && !yield(records[key], nil) {
				return
			}
		}
	}
}
