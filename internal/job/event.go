package job

// Kind is what an Event tells.
type Kind int

// The kinds of events.
const (
	// Found: items became known; Count says how many.
	Found Kind = iota + 1
	// Finished: an item is done and recorded.
	Finished
	// KeptDone: an item was done by an earlier run.
	KeptDone
	// Failed: an item failed for good; Err says why.
	Failed
)

// Event is one thing that happened to a run.
type Event struct {
	Kind  Kind
	Key   string
	Count int
	Err   error
}
