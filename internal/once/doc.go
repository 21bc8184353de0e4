// Package once makes one change of an account exactly once: intent, send, settle, look up, adopt or send again. It knows
// neither policies nor networks: what is sent, how it is found again and what it is compared with are functions of an
// [Effect]; what has happened is a [Memo] in the journal. One Effect is one item of a run.
//
//	(planned) -> intent -> sent -> created -> [finalise] -> done
//	               ^        |          '-> verify-failed
//	               |        '-> settle --found--> created
//	               '---------------'  none, place free
//
//	planned        nothing is recorded. Baseline is read, and may find that what is wanted is there already
//	intent         marker, wanted hash and baseline are known; no attempt is open. The first time it is recorded together
//	               with sent, or alone where the attempt has to wait for its turn
//	sent           attempt n is recorded and may be under way. Found so by a later run it is an attempt with an unknown end
//	settle         an attempt ended Unknown or in Conflict, and may still take effect
//	created        the id is recorded: made, or adopted because a look-up found it. It is passed over where the answer
//	               itself shows that what was made is what was wanted
//	verify-failed  it is there and differs from what was wanted. Nothing is ever sent for it again
//	finalise       it was verified, and Finalise may be under way
//	done           job.Done
//
// A change that goes well costs two commits beside those of Finalise: sent with its line of the history, before the first
// byte, and done (or finalise) with what came of it.
//
// What is promised, whenever the process ends and whatever the network does:
//
//   - Every state is durable before a step is taken that reaches beyond the journal, the state sent before the first byte.
//   - After an attempt that ended Unknown nothing is sent before the settle window is over and after it two whole
//     look-ups in a row, a poll apart, were equal and found nothing of ours and the place free.
//   - Nothing is sent when a look-up found our marker: one is adopted at once, several are an error that names them.
//   - Nothing is sent over what somebody else put into the place: that is a conflict. Before every attempt but one that
//     directly follows its baseline or its settling, the place is looked at again.
//   - No worker waits: settle windows, polling and rate limits are job.Step.Again.
//   - After a cancellation nothing new starts. A change that has begun is waited for and recorded.
//
// This holds as long as no effect comes later than the settle window after its attempt, and no record stays hidden from
// two look-ups in a row after that.
//
// How a use case plugs in:
//
//	job.Item{Key: key, Depth: 1, Do: once.Effect[[]int64, int64]{Marker: once.Marker(run, key), ...}.Do()}
//
// Versions of one policy are items that Then gives: each begins when the one before is done.
//
// Where this differs from the sketch in design/architecture.md:
//
//   - Baseline and id are type parameters, not raw JSON, so that four use cases need not decode them by hand.
//   - Do gives a function rather than being one: how long was waited and what the look-up before saw belong to a process,
//     not to the journal. A new process looks twice again, and has its patience anew.
//   - Baseline may answer with an id: what is there already (an activation that is effective or under way) is adopted
//     before anything is sent.
//   - Find does not say that a place is busy for now but returns [ErrNotYet], and so does Verify while an activation runs:
//     one word for "nothing is wrong, ask again".
//   - SETTLE and RECONCILE are one state, as are CREATED and VERIFY: the clock tells the first two apart, and nothing
//     depends on a commit between the others. A state fewer is a death fewer to think about.
//   - The settle window begins when the attempt was over, where that is known, not when it was recorded: a machine that
//     sleeps in the middle of a request then waits long enough.
//   - Done is recorded before Then's items are begun, or a run that goes on could finalise a version again that an item
//     after it has activated.
package once
