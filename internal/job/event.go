package job

// Kind is what an Event tells.
type Kind int

// The kinds of events.
const (
	// Began: a run began to work.
	Began Kind = iota + 1
	// Found: items of one depth became known; Count says how many.
	Found
	// Finished: an item is done and recorded.
	Finished
	// KeptDone: an item was done by an earlier run.
	KeptDone
	// Failed: an item failed for good, or was left pending if errors.Is(Err, ErrPending); Err says why.
	Failed
)

// Event is one thing that happened to a run.
type Event struct {
	Kind  Kind
	Key   string
	Depth int // of the items found, or of the item that the event is about
	Count int
	Err   error
}
