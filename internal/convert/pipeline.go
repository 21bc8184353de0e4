package convert

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// pipe moves batches through workers and hands them on in the order in which they came. Batches are used again.
type pipe[T any] struct {
	Workers int
	// Fill fills a batch; false says that there is none left.
	Fill func(*T) (bool, error)
	// Worker makes one worker, which may keep scratch memory of its own.
	Worker func() func(*T) error
	// Merge takes the batches one after another.
	Merge func(*T) error
}

type batch[T any] struct {
	value T
	done  chan struct{}
	err   error
}

// run ends when all batches are merged, or with the first error.
func (p pipe[T]) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	todo := make(chan *batch[T])
	inOrder := make(chan *batch[T], 2*p.Workers)
	free := make(chan *batch[T], 3*p.Workers+1)
	for range cap(free) {
		free <- &batch[T]{done: make(chan struct{}, 1)}
	}
	group.Go(func() error {
		defer close(todo)
		defer close(inOrder)
		return p.feed(ctx, free, inOrder, todo)
	})
	for range p.Workers {
		group.Go(func() error {
			work := p.Worker()
			for b := range todo {
				b.err = work(&b.value)
				b.done <- struct{}{}
			}
			return nil
		})
	}
	group.Go(func() error {
		for b := range inOrder {
			select {
			case <-b.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if b.err != nil {
				return b.err
			}
			if err := p.Merge(&b.value); err != nil {
				return err
			}
			free <- b // there is room: it came from there
		}
		return nil
	})
	return group.Wait()
}

func (p pipe[T]) feed(ctx context.Context, free, inOrder, todo chan *batch[T]) error {
	for {
		var b *batch[T]
		select {
		case b = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		more, err := p.Fill(&b.value)
		if err != nil || !more {
			return err
		}
		for _, to := range []chan *batch[T]{inOrder, todo} {
			select {
			case to <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}
