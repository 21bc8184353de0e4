// Package activate is the activation queue: it puts versions live, and takes them off, exactly once, within the limits of the
// API, and waits for the end of each. One activation is one item of a run (internal/once), its id is recorded before the
// first look at how it goes, and a run that goes on sends no second request.
//
// What is promised:
//
//   - What is live already is adopted and nothing is sent (in v2: for the properties that are asked for, too); so is an activation of the same version that is under way.
//   - Nothing is sent while another activation of that policy is in the way, and nothing over what somebody else put live
//     since the first look: that is a once.ErrConflict. Nobody is ever rolled back.
//   - Nothing is sent for a version that is not what was verified any more (Target.Prove), nor for production while the version
//     is not effective on staging, if it has to be (Target.After). Both are asked again before each attempt, however long it
//     waited for its turn, and in every run that goes on: a once.ErrConflict.
//   - The server sees no more activations in any window than the limit of the operation, over all items of a [Queue], and
//     none before the time that it told (Cloudlets API v2 and v3, Rate limits). No worker waits for that.
//   - An activation that fails is a [FailedError] with the API's own reason. It is not sent again in the same run.
//   - One that is not over at its deadline is left pending (job.ErrPending). The next run waits on.
//
// Items of one policy and network must not be under way at the same time, nor those of one v2 policy on both networks: make
// one the follow-up of the other.
package activate
