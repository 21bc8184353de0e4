// Package simulator is an in-memory Cloudlets API, v2 and v3, as an http.Handler: it checks signatures, keeps paging,
// creation rules, activation life cycles and rate limits as the API documents state them, and injects faults by option.
// It shares no code with what is tested against it and needs the standard library only.
package simulator
