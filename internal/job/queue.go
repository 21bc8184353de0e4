package job

import (
	"container/heap"
	"sync"
	"time"
)

// queue holds the items that wait for a worker, deepest first and first come first served among equals, and counts
// the items that are not settled yet: waiting, under way, or done but not recorded. Safe for concurrent use.
type queue struct {
	mu     sync.Mutex
	wake   *sync.Cond
	ready  ranking
	timers map[*time.Timer]struct{}
	seq    int
	open   int
	closed bool
}

func newQueue() *queue {
	q := &queue{timers: map[*time.Timer]struct{}{}}
	q.wake = sync.NewCond(&q.mu)
	return q
}

// push adds new items.
func (q *queue) push(items []Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open += len(items)
	for _, item := range items {
		q.add(item)
	}
	q.wake.Broadcast()
}

func (q *queue) add(item Item) {
	q.seq++
	heap.Push(&q.ready, ranked{item, q.seq})
}

// later puts an item back that is to be taken up at the given time.
func (q *queue) later(item Item, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(at), func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.timers, timer)
		q.add(item)
		q.wake.Signal()
	})
	q.timers[timer] = struct{}{}
}

// take waits for an item. It gives false when every item is settled or the queue is closed.
func (q *queue) take() (Item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.ready) == 0 && q.open > 0 {
		q.wake.Wait()
	}
	if q.closed || len(q.ready) == 0 {
		return Item{}, false
	}
	top, _ := heap.Pop(&q.ready).(ranked) // the heap holds nothing else
	return top.item, true
}

// settle counts one taken item as settled.
func (q *queue) settle() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open--
	if q.open == 0 {
		q.wake.Broadcast()
	}
}

// unsettled is the number of items that may still be settled soon: not those that wait for a later time.
func (q *queue) unsettled() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return q.open - len(q.ready)
	}
	return q.open - len(q.timers)
}

// close lets take give nothing more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for timer := range q.timers {
		timer.Stop()
	}
	q.wake.Broadcast()
}

type ranked struct {
	item Item
	seq  int
}

// ranking implements heap.Interface.
type ranking []ranked

func (r ranking) Len() int { return len(r) }

func (r ranking) Less(i, j int) bool {
	if r[i].item.Depth != r[j].item.Depth {
		return r[i].item.Depth > r[j].item.Depth
	}
	return r[i].seq < r[j].seq
}

func (r ranking) Swap(i, j int) { r[i], r[j] = r[j], r[i] }

func (r *ranking) Push(x any) {
	item, _ := x.(ranked) // heap.Push is called with nothing else
	*r = append(*r, item)
}

func (r *ranking) Pop() any {
	old := *r
	last := old[len(old)-1]
	old[len(old)-1] = ranked{} // let what it holds be freed
	*r = old[:len(old)-1]
	return last
}
